"""Times as the HTTP API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def read_time(text: str) -> datetime:
    """Read a time in ISO 8601. Raises ValueError if it has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def rfc3339(moment: datetime) -> str:
    """Write an aware time in RFC 3339, in UTC with microseconds and a `Z`."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat("T", "microseconds")[:-6] + "Z"  # instead of +00:00
