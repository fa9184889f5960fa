"""The limit that a job waits for, as clients see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from jobs.engine.broker.malformed import json_value
from jobs.engine.broker.store.records import Record
from jobs.engine.rates import PERIOD_SECONDS, rate_text
from jobs.engine.times import rfc3339


class LimitedBy(TypedDict):
    """A limit that a job waits for."""

    limit: Annotated[str, Field(description="`running=2` or `rate=60/minute`.")]
    key: Annotated[str | None, Field(description="The values that the limit is for; null: all jobs of the type.")]
    free_at: Annotated[
        str | None, Field(description="About when the limit is free again; null if a running job must end first.")
    ]


def limited_by(text: Mapping[str, str], record: Record) -> LimitedBy | None:
    """Return the limit that a job's record names, or None. Something else may have written the record."""
    name = text.get("limited_by")
    if not name:
        return None
    if name == f"type:{text.get('type')}":
        return {"limit": f"running={text.get('max_running')}", "key": None, "free_at": None}
    if name.startswith("user:"):
        return {"limit": f"running={record.user_limit}", "key": name.replace(":", "=", 1), "free_at": None}
    entries: Any = json_value(text.get("limits"))
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case [str(found), int(count), int(period), str(key)] if found == name:
                rate = f"rate={rate_text(count, period)}" if period in PERIOD_SECONDS.values() else ""
                free_at = _time(record.free_at) if rate else None
                return {"limit": rate or f"running={count}", "key": key or None, "free_at": free_at}
    return None


def _time(seconds: float | None) -> str | None:
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds is not None else None
