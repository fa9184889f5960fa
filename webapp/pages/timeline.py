"""A job's history for its page: one line for each state and attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.engine.states import EventType

_REASONS = {
    "queued": "Queued",
    "scheduled": "Scheduled for later",
    "waiting": "Waiting for other jobs",
    "retrying": "Waiting for the next attempt",
    "limited": "Waiting for a free slot",
}
_WORDS = {
    EventType.RESUMED: "Interrupted and queued again",
    EventType.COMPLETED: "Completed",
    EventType.FAILED: "Failed",
    EventType.CANCELLED: "Cancelled",
}
_LOOKS = {
    EventType.STARTED: "running",
    EventType.COMPLETED: "completed",
    EventType.FAILED: "failed",
    EventType.CANCELLED: "cancelled",
    EventType.RETRYING: "failed",
}


@dataclass(frozen=True)
class Moment:
    at: datetime
    title: str
    #: The status whose colour it has.
    look: str
    #: The error, if there is one.
    detail: str | None
    #: Seconds since the moment before.
    seconds: float | None


def timeline(events: Sequence[Mapping[str, Any]]) -> list[Moment]:
    """Return all events except progress, oldest first."""
    moments: list[Moment] = []
    for event in events:
        kind = EventType(event["type"])
        if kind is EventType.PROGRESS:
            continue
        at = datetime.fromisoformat(event["at"])
        seconds = (at - moments[-1].at).total_seconds() if moments else None
        moments.append(Moment(at, _title(kind, event), _LOOKS.get(kind, "pending"), _detail(event), seconds))
    return moments


def _title(kind: EventType, event: Mapping[str, Any]) -> str:
    if kind is EventType.QUEUED:
        return _REASONS.get(event.get("reason") or "queued", "Queued")
    if kind is EventType.STARTED:
        return f"Attempt {event.get('attempt', 1)} started"
    if kind is EventType.RETRYING:
        return "Attempt failed; it will be retried"
    return _WORDS[kind]


def _detail(event: Mapping[str, Any]) -> str | None:
    parts = [event.get("error_type"), event.get("error")]
    return ": ".join(str(part) for part in parts if part) or None
