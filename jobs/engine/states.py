"""The states of a job: the words of the API, the words of RQ, and the transitions."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


class PendingReason(StrEnum):
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    RETRYING = "retrying"
    LIMITED = "limited"
    #: Its queue or its job type is paused.
    PAUSED = "paused"
    #: All workers are suspended by RQ's tools.
    SUSPENDED = "suspended"
    #: No live worker serves its queue.
    NO_WORKER = "no_worker"


class Priority(StrEnum):
    """The priorities, which are also the names of the queues, in the order in which workers empty them."""

    HIGH = "high"
    DEFAULT = "default"
    LOW = "low"


class EventType(StrEnum):
    QUEUED = "job_queued"
    STARTED = "job_started"
    PROGRESS = "job_progress"
    RETRYING = "job_retrying"
    RESUMED = "job_resumed"
    COMPLETED = "job_completed"
    FAILED = "job_failed"
    CANCELLED = "job_cancelled"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

#: Every possible transition. A failed or cancelled job changes its state only by an explicit retry.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.PENDING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
}

#: The words of rq.job.JobStatus (2.12.0), in ours. RQ, too, counts a stopped job as failed.
FROM_RQ: dict[str, Status] = {
    "created": Status.PENDING,
    "queued": Status.PENDING,
    "deferred": Status.PENDING,
    "scheduled": Status.PENDING,
    "started": Status.RUNNING,
    "finished": Status.COMPLETED,
    "failed": Status.FAILED,
    "stopped": Status.FAILED,
    "canceled": Status.CANCELLED,
}
