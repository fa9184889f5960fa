"""Read the entries of a job's history and of its log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jobs.engine.broker.malformed import json_value, text
from jobs.engine.states import EventType, PendingReason, Status
from jobs.engine.times import read_time, rfc3339

_ENDS = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED})
#: The time of a malformed log line.
_UNKNOWN_TIME = rfc3339(datetime.fromtimestamp(0, UTC))


def read_event(entry: bytes) -> dict[str, Any]:
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
    return event


def read_log_line(line: bytes) -> dict[str, Any]:
    """Return a line of a log. A malformed one is returned as text, since lines are counted by their position."""
    entry = json_value(line)
    if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("at", "level", "message")):
        return entry
    return {"at": _UNKNOWN_TIME, "attempt": 0, "level": "UNKNOWN", "message": text(line)}
