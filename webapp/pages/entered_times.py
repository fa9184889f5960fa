"""Times as users enter them in forms, which ask for UTC: browsers send them without a zone."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.engine.times import rfc3339


def entered_time(text: str | None) -> datetime | None:
    """Read a time; None if there is none, or if it is not valid or out of range."""
    try:
        read = datetime.fromisoformat(text or "")
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_api_time(text: str) -> str:
    """Return a time as the API takes it. A text that is not a valid time stays as it is."""
    read = entered_time(text)
    return rfc3339(read) if read else text
