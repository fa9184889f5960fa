"""Counting the requests and events of a user, by kind and by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.engine import Retry, TryAgainLater, current_job, job, user_document

KEEP_DAYS = 400
#: The number of different events of a user on one day. Further ones are counted together.
MAX_EVENTS = 200
OTHER = "(other)"
#: The number of jobs that are remembered, so that a job that runs twice is counted once.
REMEMBERED_JOBS = 500

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$", examples=["signed-up"])]

_IN_USE = Retry(max=5, on=(TryAgainLater,))


@dataclass(frozen=True)
class UserStats:
    """A user's requests so far."""

    request_count: int
    by_kind: dict[str, int]
    last_request_at: datetime | None


@dataclass(frozen=True)
class EventCount:
    """How often an event has happened."""

    event: str
    today: int
    total: int


@job(priority="low", timeout=120, retry=_IN_USE)
def update_user_stats(kind: Word = "request") -> UserStats:
    """Count one of your requests, and record its time.

    `POST /predict` submits this job after each response.
    """
    with user_document("stats") as stats:
        if _is_new(stats):
            kinds = stats.setdefault("by_kind", {})
            _count(kinds, kind)
            stats["last_request_at"] = datetime.now(UTC).isoformat()
        kinds = stats.get("by_kind", {})
        last = stats.get("last_request_at")
        return UserStats(sum(kinds.values()), dict(kinds), datetime.fromisoformat(last) if last else None)


@job(priority="low", timeout=120, retry=_IN_USE)
def update_analytics(event: Word) -> EventCount:
    """Count one of your events under today's date (UTC). Daily counts are kept for 400 days, totals for ever."""
    today = datetime.now(UTC).date().isoformat()
    with user_document("analytics") as analytics:
        days = analytics.setdefault("days", {})
        totals = analytics.setdefault("totals", {})
        if _is_new(analytics):
            _count(days.setdefault(today, {}), event)
            _count(totals, event)
            for day in sorted(days)[:-KEEP_DAYS]:
                del days[day]
        return EventCount(event, days.get(today, {}).get(event, 0), totals.get(event, 0))


def _count(counts: dict[str, int], name: str) -> None:
    counted = name if name in counts or len(counts) < MAX_EVENTS else OTHER
    counts[counted] = counts.get(counted, 0) + 1


def _is_new(document: dict[str, Any]) -> bool:
    """Record the job. Return False if it was counted before: a function runs twice if its process dies too late."""
    current = current_job()
    if current is None:
        return True
    counted: list[str] = document.setdefault("counted_jobs", [])
    if current.job_id in counted:
        return False
    document["counted_jobs"] = [*counted, current.job_id][-REMEMBERED_JOBS:]
    return True
