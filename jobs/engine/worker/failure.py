"""The description of an exception: its type, a message that is safe to show, and a trace for admins."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.engine.errors import JobTimeout, ResultInvalid, ResultTooLarge, WorkhorseError
from jobs.engine.settings import Settings

from .masking import masked

#: Characters of a message and of a trace that are kept.
MESSAGE_CHARACTERS = 2_000
TRACE_CHARACTERS = 50_000
#: Characters of a message that are searched for paths and secrets.
MASKED_CHARACTERS = 20_000

#: Frames of the engine are not an author's code.
ENGINE = "jobs.engine"

_NAMED = (JobTimeout, ResultInvalid, ResultTooLarge)


@dataclass(frozen=True)
class Failure:
    error_type: str
    message: str
    trace: str


def describe(error: BaseException, packages: Sequence[str], settings: Settings) -> Failure:
    """Describe an exception that ended an attempt.

    The message is shown if the exception was raised in a function's own code, that is if the innermost frame belongs to
    one of `packages`, or if it is an error of the engine, such as Fatal. Any other message may hold what no client
    should see.
    """
    try:
        return _described(error, packages, settings)
    except BaseException as trouble:  # noqa: BLE001 - its class may override everything that is used here
        name, why = type(error).__name__, type(trouble).__name__
        return Failure(name, f"The job failed with {name}, which can't be described ({why}).", f"{name}\n")


def _described(error: BaseException, packages: Sequence[str], settings: Settings) -> Failure:
    name = error.code if isinstance(error, _NAMED) else type(error).__name__
    if isinstance(error, WorkhorseError):
        message = error.message
    elif isinstance(error, SystemExit):
        message = f"The function called sys.exit({error.code!r})."
    elif _raised_in(error, packages):
        message = _text_of(error) or name
    else:
        message = f"The job failed with {name}. Only admins can see its trace."
    trace = "".join(traceback.format_exception(error))[-TRACE_CHARACTERS:]
    shown = _without_surrogates(masked(_beginning(message), settings))
    return Failure(name, shown[:MESSAGE_CHARACTERS], _without_surrogates(trace))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the __str__ of an author's class may fail
        return ""


def _beginning(message: str) -> str:
    """Return the part of a message that is searched. It ends between two words: half a secret would not be found."""
    if len(message) <= MASKED_CHARACTERS:
        return message
    return message[:MASKED_CHARACTERS].rpartition(" ")[0] or message[:MASKED_CHARACTERS]


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _raised_in(error: BaseException, packages: Sequence[str]) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    module = frames[-1][0].f_globals.get("__name__", "")
    if module.startswith(ENGINE + "."):
        return False
    return any(module == package or module.startswith(package + ".") for package in packages)
