"""Draw a job's progress in one line."""

from __future__ import annotations

import time
from collections import deque

from jobs.engine.client.job import Job
from jobs.engine.client.limited_by import LimitedBy
from jobs.engine.states import PendingReason, Status

from .text import cut, duration, moment, printable

WIDTH = 24
#: The rate is measured over this many seconds.
RATE_SECONDS = 10.0


class Bar:
    """The line of a job as it was last shown. The estimated time left counts down between two updates."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._shown_at = 0.0
        self._attempt: tuple[int, int] | None = None
        self._counted: deque[tuple[float, float]] = deque()

    def show(self, job: Job, now: float | None = None) -> None:
        """Take the job's newest state."""
        now = time.monotonic() if now is None else now
        if self._attempt != (job.attempt, job.resumed):
            self._counted.clear()
        self._attempt = job.attempt, job.resumed
        self._job, self._shown_at = job, now
        if job.progress_current is not None:
            self._counted.append((now, job.progress_current))
        while len(self._counted) > 2 and now - self._counted[0][0] > RATE_SECONDS:
            self._counted.popleft()

    def draw(self, columns: int, now: float | None = None) -> str:
        """Return the line with a bar, cut to `columns` characters."""
        job = self._job
        if job is None:
            return ""
        filled = round(WIDTH * job.progress / 100)
        bar = f"[{'#' * filled}{'-' * (WIDTH - filled)}] "
        return cut(bar + self.words(now), columns)

    def words(self, now: float | None = None) -> str:
        """Return the line without the bar."""
        job = self._job
        if job is None:
            return ""
        now = time.monotonic() if now is None else now
        parts = [f"{job.progress:3.0f} %", job.status if job.status is not Status.PENDING else _pending(job)]
        if job.progress_total and job.progress_current is not None:
            parts.append(f"{job.progress_current:g} of {job.progress_total:g}")
        if job.status is Status.RUNNING:
            parts += self._pace(job, now)
        if job.progress_message:
            parts.append(printable(job.progress_message).replace("\n", " "))
        return "  ".join(parts)

    def _pace(self, job: Job, now: float) -> list[str]:
        parts = []
        if rate := self._rate():
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min")
        if job.eta_seconds is not None:
            parts.append(f"ETA {duration(max(0.0, job.eta_seconds - (now - self._shown_at)))}")
        return parts

    def _rate(self) -> float | None:
        if len(self._counted) < 2:
            return None
        (first, before), (last, after) = self._counted[0], self._counted[-1]
        return (after - before) / (last - first) if last > first and after > before else None


def _pending(job: Job) -> str:
    if job.pending_reason in (PendingReason.SCHEDULED, PendingReason.RETRYING):
        return f"{job.pending_reason} at {moment(job.scheduled_at)}"
    if job.pending_reason is PendingReason.WAITING:
        return "waiting for other jobs"
    if job.pending_reason is PendingReason.LIMITED:
        return _limited(job.limited_by) if job.limited_by else "waiting for a free slot"
    return f"queued, position {job.queue_position}" if job.queue_position else "queued"


def _limited(by: LimitedBy) -> str:
    return f"waiting for the limit {by['limit']}" + (f" of {by['key']}" if by["key"] else "")
