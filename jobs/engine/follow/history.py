"""Rebuild the earlier versions of a job from its history.

Reading a job gives its latest version. A follower that missed earlier ones gets them from here, except superseded
progress, which the history does not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from jobs.engine.client.job import Job
from jobs.engine.states import EventType, PendingReason, Status

#: An `Event` with its further properties.
Entry = Mapping[str, Any]

_PROGRESS = ("progress", "progress_message", "progress_current", "progress_total", "eta_seconds")

#: What is computed when a job is read, so that the history does not have it.
_UNKNOWN: dict[str, Any] = dict.fromkeys(("queue_position", "limited_by", "eta_seconds"))


def versions(job: Job, events: Sequence[Entry]) -> list[tuple[Job, bool]]:
    """Return the versions of a job, oldest first; the last one is `job` itself.

    Each comes with a flag: True if it is mere progress, which later progress supersedes.
    """
    states: list[tuple[Job, bool]] = []
    state = _blank(job, sum(entry["type"] == EventType.RESUMED for entry in events))
    for entry in events:
        if entry["version"] >= job.version:
            break
        state = _STEPS[EventType(entry["type"])](state, entry)
        state = replace(state, version=entry["version"])
        states.append((state, entry["type"] == EventType.PROGRESS))
    newest = next((entry for entry in events if entry["version"] == job.version), {})
    return [*states, (job, newest.get("type") == EventType.PROGRESS)]


def is_progress(before: Job, after: Job) -> bool:
    """Return True if only the progress changed from one version to the next."""
    return (
        before.status is after.status is Status.RUNNING
        and before.attempt == after.attempt
        and before.resumed == after.resumed
    )


def _blank(job: Job, resumed_since: int) -> Job:
    """Return the job as it was before the first event that is kept."""
    return replace(
        _fresh(job),
        attempt=0,
        resumed=max(0, job.resumed - resumed_since),
        version=0,
    )


def _fresh(job: Job) -> Job:
    without_progress: dict[str, Any] = dict.fromkeys(_PROGRESS) | {"progress": 0.0}
    ended: dict[str, Any] = dict.fromkeys(("completed_at", "expires_at", "result", "error", "error_type", "trace"))
    return replace(_pending(job, PendingReason.QUEUED), started_at=None, scheduled_at=None, **without_progress, **ended)


def _pending(job: Job, reason: PendingReason) -> Job:
    return replace(job, status=Status.PENDING, pending_reason=reason, **_UNKNOWN)


def _queued(job: Job, entry: Entry) -> Job:
    if job.status.terminal:  # an explicit retry starts over
        job = replace(_fresh(job), attempt=0, resumed=0)
    reason = PendingReason(entry.get("reason") or PendingReason.QUEUED)
    return replace(_pending(job, reason), scheduled_at=None)


def _started(job: Job, entry: Entry) -> Job:
    if entry.get("attempt") != job.attempt:
        job = replace(_fresh(job), attempt=int(entry.get("attempt") or 0))
    moment = _time(entry["at"])
    return replace(job, status=Status.RUNNING, pending_reason=None, scheduled_at=None, started_at=moment)


def _progressed(job: Job, entry: Entry) -> Job:
    reported = {name: entry[name] for name in _PROGRESS if name in entry}
    return replace(job, **reported | {"progress": float(reported.get("progress") or 0.0)})


def _retrying(job: Job, entry: Entry) -> Job:
    return replace(_pending(job, PendingReason.RETRYING), scheduled_at=_time(entry.get("scheduled_at")))


def _resumed(job: Job, _entry: Entry) -> Job:
    return replace(_pending(job, PendingReason.QUEUED), resumed=job.resumed + 1)


def _ended(job: Job, entry: Entry) -> Job:
    return replace(
        job,
        status=Status(entry["status"]),
        pending_reason=None,
        scheduled_at=None,
        eta_seconds=None,
        completed_at=_time(entry["at"]),
        error=entry.get("error"),
        error_type=entry.get("error_type"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


_STEPS: dict[EventType, Callable[[Job, Entry], Job]] = {
    EventType.QUEUED: _queued,
    EventType.STARTED: _started,
    EventType.PROGRESS: _progressed,
    EventType.RETRYING: _retrying,
    EventType.RESUMED: _resumed,
    EventType.COMPLETED: _ended,
    EventType.FAILED: _ended,
    EventType.CANCELLED: _ended,
}
