"""Asking a language model for an answer of a given shape, over the chat API that most servers offer.

LLM_BASE_URL, LLM_API_KEY and LLM_MODEL choose the model. Its answer is validated like any other input, since a model
can return anything.
"""

from __future__ import annotations

import json
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from jobs.engine import Fatal, settings

Answer = TypeVar("Answer", bound=BaseModel)

TIMEOUT_SECONDS = 90.0
_FENCE = re.compile(r"^\s*```\w*\s*(.*?)\s*```\s*$", re.DOTALL)


class LanguageModelUnavailable(Exception):
    """The language model can't answer now; a retry may succeed."""


class LanguageModelRefused(Fatal):
    """The language model refuses the settings or the request; a retry does not help."""


class UnusableAnswer(Exception):
    """The answer does not have the shape that was asked for; a retry may succeed."""


def is_configured() -> bool:
    """Return True if the settings name a language model."""
    return bool(settings().llm_base_url or settings().llm_api_key)


def ask(instructions: str, material: str, shape: type[Answer]) -> Answer:
    """Ask once, and return the answer as a `shape`.

    Raises:
        LanguageModelUnavailable: if it can't be reached, or is too busy or too slow.
        LanguageModelRefused: if it refuses the key, the model's name or the request.
        UnusableAnswer: if its answer does not have the shape.
    """
    schema = json.dumps(shape.model_json_schema())
    text = _chat(f"{instructions}\nAnswer with one JSON object and nothing else. Its JSON Schema: {schema}", material)
    fenced = _FENCE.match(text)
    try:
        return shape.model_validate_json(fenced[1] if fenced else text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise UnusableAnswer(f"The language model's answer can't be used: {where}: {first['msg']}") from None


def _chat(instructions: str, material: str) -> str:
    import openai

    chosen = settings()
    try:
        # Only the job's retry policy applies: users see its delays, and the worker is free meanwhile.
        client = openai.OpenAI(
            base_url=chosen.llm_base_url,
            api_key=chosen.llm_api_key or "none",
            timeout=TIMEOUT_SECONDS,
            max_retries=0,
        )
        with client:
            completion = client.chat.completions.create(
                model=chosen.llm_model,
                messages=[{"role": "system", "content": instructions}, {"role": "user", "content": material}],
                response_format={"type": "json_object"},
            )
    except openai.APIStatusError as error:
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            raise LanguageModelUnavailable(f"The language model can't answer now ({error.status_code}).") from error
        raise LanguageModelRefused(
            f"The language model refused the request ({error.status_code}); "
            "check LLM_BASE_URL, LLM_API_KEY and LLM_MODEL."
        ) from error
    except openai.APIConnectionError as error:
        raise LanguageModelUnavailable("The language model can't be reached.") from error
    except (openai.APIError, ValueError) as error:
        raise UnusableAnswer("The language model's answer can't be read.") from error
    return _content(completion)


def _content(completion: object) -> str:
    # Servers that imitate OpenAI's leave out fields that its types promise.
    choices = getattr(completion, "choices", None)
    content = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    if not isinstance(content, str) or not content.strip():
        raise UnusableAnswer("The language model's answer is empty.")
    return content
