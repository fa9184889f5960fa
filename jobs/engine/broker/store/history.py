"""The entries of a job's history and the lines of its log: the fields that clients see, and how to read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from jobs.engine.broker.malformed import json_value, text
from jobs.engine.public_fields import Whole
from jobs.engine.states import EventType, PendingReason, Status
from jobs.engine.times import read_time, rfc3339

_ENDS = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED})
#: The time of a malformed log line.
_UNKNOWN_TIME = rfc3339(datetime.fromtimestamp(0, UTC))


Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Event(TypedDict):
    """One entry of a job's history. Further properties depend on the type."""

    version: Annotated[Whole, Field(description="The version of the job that begins with it.")]
    at: Time
    type: EventType


class LogLine(TypedDict):
    """One line that a job logged or printed."""

    at: Time
    attempt: Annotated[Whole, Field(description="The attempt that wrote it.")]
    level: Annotated[str, Field(description="In lower case. `info` for standard output, `warning` for standard error.")]
    message: str


def read_event(entry: bytes) -> Event:
    """Return an entry of a history. Raises one of MALFORMED if it can't be applied to a job."""
    event: dict[str, Any] = json.loads(entry)
    if type(event["version"]) is not int:
        raise TypeError(f"version {event['version']!a} is not a whole number")
    read_time(event["at"])
    kind = EventType(event["type"])
    if kind in _ENDS:
        Status(event["status"])
    if kind is EventType.QUEUED and event.get("reason"):
        PendingReason(event["reason"])
    if kind is EventType.PROGRESS:
        float(event.get("progress") or 0.0)
    event["type"] = kind
    return cast(Event, event)


def read_log_line(line: bytes) -> LogLine:
    """Return a line of a log. A malformed one is returned as text, since lines are counted by their position."""
    entry = json_value(line)
    if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("at", "level", "message")):
        return cast(LogLine, entry)
    return {"at": _UNKNOWN_TIME, "attempt": 0, "level": "UNKNOWN", "message": text(line)}
