"""The description of an exception: its type, a message that is safe to show, and a trace for admins."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.errors import JobTimeout, ResultInvalid, ResultTooLarge, WorkhorseError
from jobs.engine.settings import Settings

#: Characters of a message and of a trace that are kept.
MESSAGE_CHARACTERS = 2_000
TRACE_CHARACTERS = 50_000
#: Characters of a message that are searched for paths and secrets.
MASKED_CHARACTERS = 20_000

#: Frames of the engine are not an author's code.
ENGINE = "jobs.engine"

_NAMED = (JobTimeout, ResultInvalid, ResultTooLarge)
_PATH = re.compile(r"(?:(?<![\w:/.])|(?<=file://))/(?P<root>[\w.\-]+)(?:/[\w.\-@+]+)+/?")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_KEY = re.compile(r"\bwh_[A-Za-z0-9_]{16,}|(?<=Bearer )[\w.\-]+|\bsk-[\w\-]{16,}")


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
    return Failure(name, masked(_beginning(message), settings)[:MESSAGE_CHARACTERS], _without_surrogates(trace))


def masked(text: str, settings: Settings) -> str:
    """Return `text` without paths of this machine and without secrets."""
    for secret in _secrets(settings):
        text = text.replace(secret, "[secret]")
    text = _CREDENTIALS.sub("[secret]@", text)
    text = _KEY.sub("[secret]", text)
    return _without_surrogates(_PATH.sub(_hidden_path, text))


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


def _hidden_path(match: re.Match[str]) -> str:
    # It is a path only if it begins in a folder of this machine; /texts/3 is a JSON Pointer.
    return "[path]" if Path("/", match["root"]).is_dir() else match[0]


def _secrets(settings: Settings) -> Iterable[str]:
    keys = (settings.secret_key, settings.admin_api_key, settings.llm_api_key)
    candidates = (*keys, *settings.kept_secrets(), settings.redis_url, settings.smtp_url)
    return (secret for secret in candidates if secret)
