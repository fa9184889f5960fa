"""Read records that may be malformed, because anything can write to the broker.

A malformed record is skipped with one log line. It must not hide the records beside it or fail a request.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import redis

logger = logging.getLogger("workhorse")

T = TypeVar("T")

#: What reading a record raises if a field is missing or is not what the engine writes.
MALFORMED = (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


def readable(key: str, read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or None if the record at `key` is malformed or of another type.

    Errors of the connection pass through.
    """
    try:
        return read()
    except MALFORMED as error:
        reason: Exception = error
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        reason = error
    logger.warning("%.200s is malformed and was skipped: %.200s", ascii(key), ascii(f"{reason}"))
    return None


def readable_all(key: str, read: Callable[[Any], T], records: Iterable[Any]) -> list[T]:
    """Return what `read` makes of each record of a key, without the malformed ones."""
    results = [readable(key, lambda record=record: read(record)) for record in records]  # type: ignore[misc]
    return [result for result in results if result is not None]


def is_wrong_type(error: object) -> bool:
    """Return True if the broker reports a key of another type than the command is for."""
    return isinstance(error, redis.ResponseError) and "WRONGTYPE" in str(error)


def replies(pipeline: Any) -> list[Any]:
    """Execute a pipeline of reads. The reply of a command is None if its key is of another type."""
    found = pipeline.execute(raise_on_error=False)
    for reply in found:
        if isinstance(reply, Exception) and not is_wrong_type(reply):
            raise reply
    return [None if isinstance(reply, Exception) else reply for reply in found]


def text(value: bytes) -> str:
    """Decode text, with a replacement character for each byte that is not UTF-8."""
    return value.decode("utf-8", "replace")


def json_value(document: str | bytes | None, default: Any = None) -> Any:
    """Return the value of a JSON document, or `default` if there is no document or it is malformed."""
    try:
        return json.loads(document) if document else default
    except (ValueError, RecursionError):
        return default


def whole(document: str | bytes | None, default: int = 0) -> int:
    """Return a whole number, or `default` if there is none or it is malformed."""
    try:
        return int(document) if document else default
    except ValueError:
        return default
