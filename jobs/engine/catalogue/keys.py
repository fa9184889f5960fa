"""Keys: the values of some parameters of a job, by which its type's limits and unique jobs are told apart.

Two jobs have the same key if the function would get equal values: the defaults are filled in, 1 and 1.0 are the same
number, and neither the order of an object's names nor that of a set matters. Texts are compared exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from math import isfinite
from typing import Any

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from jobs.engine.author.decorator import full_name_of
from jobs.engine.author.limit import USER
from jobs.engine.errors import UnservableFunction

from .type_hints import field_of, model_of, signature_of
from .validation_faults import did_you_mean

#: Longer keys are shown cut off.
MAX_SHOWN_CHARACTERS = 200
#: Longer values are in a name as a digest.
MAX_TEXT_CHARACTERS = 64

#: A text that can't be confused with a number or another constant, nor with the end of a key.
_PLAIN = re.compile(r"(?!(?:true|false|null|NaN|Infinity)\Z)[A-Za-z_][\w.:@/-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Key:
    #: Equal for equal values only. Short, and without spaces.
    name: str
    #: For people.
    shown: str


class KeyReader:
    """Reads a key from the parameters of a submission.

    Raises:
        UnservableFunction: a name is not a parameter, or the parameter is a secret. `where` names the option.
    """

    def __init__(self, function: Callable[..., Any], names: Iterable[str], where: str) -> None:
        self.names = tuple(names)
        parameters = signature_of(function).parameters
        for name in self.names:
            if name not in parameters and name != USER:
                near = did_you_mean(name, (*parameters, USER))
                raise UnservableFunction(f"{full_name_of(function)}: {where}: there is no parameter '{name}'{near}.")
        #: Those of the names that are parameters.
        self.parameters = tuple(name for name in self.names if name in parameters)
        self._model = model_of(function, {name: field_of(function, parameters[name]) for name in self.parameters})
        for name, schema in self._model.model_json_schema().get("properties", {}).items():
            if '"writeOnly"' in json.dumps(schema):
                raise UnservableFunction(
                    f"{full_name_of(function)}: {where}: parameter '{name}' is a secret, which can't be a key."
                )

    def values(self, params: Mapping[str, Any], user_id: str | None) -> dict[str, Any]:
        """Return the values of a job by name, each in a form that is equal for equal values.

        The parameters have been validated.
        """
        sent = {name: params[name] for name in self.parameters if name in params}
        model = self._model.__pydantic_validator__.validate_json(to_json(sent))
        dumped = self._model.__pydantic_serializer__.to_python(model, warnings="none")
        given = {name: _comparable(dumped[f"arg{at}"], sent.get(name)) for at, name in enumerate(self.parameters)}
        return {name: given.get(name, user_id) for name in self.names}

    def key(self, params: Mapping[str, Any], user_id: str | None) -> Key:
        """Return the key of a job."""
        values = self.values(params, user_id)
        texts = {name: _text(value) for name, value in values.items()}
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in values.items())
        if None in texts.values():
            return Key("#" + digest(values), cut(shown))
        return Key(",".join(f"{name}={text}" for name, text in texts.items()), cut(shown))


def digest(value: Any) -> str:
    """Return a short text that is equal for equal values only."""
    return sha256(_json(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _text(value: Any) -> str | None:
    """Return a short value as a part of a name, or None if it needs a digest."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else None
    if value is None or isinstance(value, (bool, int, float)):
        text = _json(value)
        return text if len(text) <= MAX_TEXT_CHARACTERS else None
    return None


def _shown(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else _json(value)


def _comparable(value: Any, sent: Any) -> Any:
    """Return a validated value as JSON, or as it was sent if its type can't be written as JSON."""
    try:
        return _plain(value)
    except PydanticSerializationError:
        return sent


def _plain(value: Any) -> Any:
    """Return a value as JSON, equal for values that are equal."""
    match value:
        case Enum():
            return _plain(value.value)
        case None | bool() | str():
            return value
        case float() | Decimal():
            whole = int(value) if isfinite(value) and value == int(value) else None
            return whole if whole is not None else value if isinstance(value, float) else str(value.normalize())
        case Mapping():
            return {str(_plain(name)): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case set() | frozenset():
            return sorted(map(_plain, value), key=_json)
        case bytes():
            return value.hex()
        case datetime() if value.tzinfo is not None:
            return _in_utc(value).isoformat()
        case _:
            return to_jsonable_python(value)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in the first or the last hours of the calendar
        return moment
