"""Hold a request until a job changes, the time is up, or the process shuts down."""

from __future__ import annotations

import time

from jobs.engine.client.job import Job

from .services import services
from .shutdown import shutdown

#: Time after which a held request notices that the process is shutting down.
_SLICE_SECONDS = 5.0


def job_after(job: Job, *, version: int | None, seconds: float) -> Job:
    """Return the job when it passes `version` (None: when it has ended), or after `seconds`."""
    deadline = time.monotonic() + seconds
    while not _reached(job, version) and not shutdown.begun and (left := deadline - time.monotonic()) > 0:
        job = services().follower.wait(job.job_id, after=version, timeout=min(left, _SLICE_SECONDS))
    return job


def _reached(job: Job, version: int | None) -> bool:
    return job.status.terminal if version is None else job.version > version
