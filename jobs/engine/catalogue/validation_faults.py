"""The faults in the parameters of a submission, with their places."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic_core import ErrorDetails

from jobs.engine.errors import Fault
from jobs.engine.json_pointer import Path, pointer

#: The deepest nesting. pydantic's own reader stops at 200.
MAX_DEPTH = 100

#: Other readers of JSON store numbers as doubles, in which a larger number is infinite.
LARGEST_NUMBER = int(sys.float_info.max)

#: The most readings of an error's location that are tried.
MAX_READINGS = 64

MISSING = frozenset(
    {"missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument"}
)


def not_interoperable(body: dict[Any, Any]) -> Fault | None:
    """Return the first fault in `body` that RFC 8259 leaves to each reader of JSON, or None."""
    pending: list[tuple[Any, Path]] = [(body, ())]
    while pending:
        parent, path = pending.pop()
        if len(path) >= MAX_DEPTH:
            message = f"Input should be nested at most {MAX_DEPTH} levels deep"
            return Fault(message, "too_deep", pointer=pointer(path))
        if type(parent) is dict:
            for key in parent:
                if bad := _bad_value(key) if isinstance(key, str) else ("Names should be strings", "invalid_key"):
                    return Fault(bad[0], bad[1], pointer=pointer(path))
        for name, value in parent.items() if type(parent) is dict else enumerate(parent):
            kind = type(value)
            if kind is dict or kind is list:
                pending.append((value, (*path, name)))
            elif bad := _bad_value(value):
                return Fault(bad[0], bad[1], pointer=pointer((*path, name)))
    return None


def _bad_value(value: object) -> tuple[str, str] | None:
    """Return the message and code of the fault in a value that has no parts, or None."""
    if type(value) is str:
        if "\0" in value:
            return "Text should not contain the character U+0000", "string_null"
        if not value.isascii() and not _is_unicode(value):
            return "Text should be valid Unicode, without lone surrogates", "string_unicode"
    elif type(value) is int:
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            return "Number is too large", "number_too_large"
    elif type(value) is float:
        if not math.isfinite(value):
            return "Input should be a finite number", "finite_number"
    elif value is not None and type(value) is not bool:
        return f"Input should be a JSON value, not a Python {type(value).__name__}", "json_type"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def path_of(detail: ErrorDetails, body: dict[str, Any]) -> Path:
    """Return the path of an error in the body.

    pydantic's location also contains branches of unions (`int`, a model, a tag), which are not in the body. Of all
    ways to read it, the one that leads to the refused value is used.
    """
    missing = detail["type"] in MISSING
    location = detail["loc"][:-1] if missing else detail["loc"]
    readings = list(islice(_readings(body, location), MAX_READINGS))
    path = next((path for path, value in readings if value == detail["input"]), readings[0][0])
    return (*path, detail["loc"][-1]) if missing else path


def is_in_union(detail: ErrorDetails, body: dict[str, Any]) -> bool:
    """Return True if an error was found in one branch of a union: then its location has the name of the branch."""
    return path_of(detail, body) != detail["loc"]


def _readings(value: Any, location: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the paths that `location` may stand for, with their values, the longest first."""
    if not location:
        yield (), value
        return
    part, rest = location[0], location[1:]
    if _has(value, part):
        yield from (((part, *path), found) for path, found in _readings(value[part], rest))
    yield from _readings(value, rest)


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def did_you_mean(name: str, names: tuple[str, ...]) -> str:
    """Return a suggestion for a misspelled name, or an empty text."""
    close = difflib.get_close_matches(name[:100], names, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
