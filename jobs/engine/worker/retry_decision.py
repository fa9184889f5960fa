"""The decision at the end of an attempt: completed, failed, cancelled, retried, or resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from jobs.engine.author.reporting import Progress
from jobs.engine.author.retry import Retry
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.errors import MAX_LATER_SECONDS, JobTimeout

from .ending import Ending, EndingKind, timed_out

#: A job fails when its process has died this many times in a row.
MAX_DEATHS = 3
WORKER_LOST = "worker_lost"
SHUTDOWN = Outcome(OutcomeKind.RESUMED, reason="shutdown")
TOO_LATE = Outcome(OutcomeKind.RESUMED, reason="too_late")


class KillReason(StrEnum):
    """Why a worker killed a horse. A reason that fails the job is also its error type."""

    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    MEMORY_LIMIT = "memory_limit"


@dataclass(frozen=True)
class Death:
    """The process ended without an `Ending`, and its worker did not kill it."""

    #: For people, such as "signal SIGKILL".
    how: str


@dataclass(frozen=True)
class Limits:
    timeout_seconds: int
    stall_seconds: float | None
    memory_bytes: int


@dataclass(frozen=True)
class AttemptEnd:
    """Everything that the decision depends on."""

    cause: Ending | KillReason | Death
    policy: Retry | None
    limits: Limits
    #: The last one that the attempt reported.
    progress: Progress
    attempt: int
    max_attempts: int
    #: Deaths of the job's process in a row, before this execution.
    deaths: int
    #: The worker must stop.
    stopping: bool


def decide(end: AttemptEnd) -> Outcome:
    """Decide what the end of an attempt means for its job."""
    if isinstance(end.cause, Death):
        return after_death(end.deaths, end.cause)
    if end.cause is KillReason.SHUTDOWN:
        return SHUTDOWN
    ending = end.cause if isinstance(end.cause, Ending) else _ending_of_killed(end.cause, end)
    if ending.kind is EndingKind.COMPLETED:
        return Outcome(OutcomeKind.COMPLETED, result=ending.result, meta=_completed(end.progress))
    if ending.kind is EndingKind.CANCELLED:
        return Outcome(OutcomeKind.CANCELLED)
    if ending.kind is EndingKind.TOO_LATE:
        return TOO_LATE
    if ending.kind is EndingKind.LATER:
        return _retried(ending, ending.delay_seconds, charged=False)
    return _after_failure(ending, end)


@lru_cache(maxsize=8)  # most jobs end with the same progress
def _completed(progress: Progress) -> str:
    return json.dumps(progress.completed().as_meta())


def after_death(deaths_before: int, death: Death) -> Outcome:
    """Decide what the death of its process means for a job: it is resumed, unless it has died too often in a row."""
    deaths = deaths_before + 1
    if deaths < MAX_DEATHS:
        return Outcome(OutcomeKind.RESUMED, reason=WORKER_LOST, deaths=deaths)
    error = f"The process that ran this job ended unexpectedly {MAX_DEATHS} times in a row (last: {death.how})."
    return Outcome(OutcomeKind.FAILED, error=error, error_type=WORKER_LOST, deaths=deaths)


def _after_failure(ending: Ending, end: AttemptEnd) -> Outcome:
    if not ending.fatal:
        if end.stopping:
            # Its children were signalled too, or its network was shut down: the failure is not its own.
            return SHUTDOWN
        if ending.retryable and end.policy is not None and end.attempt < end.max_attempts:
            return _retried(ending, end.policy.seconds_before(end.attempt), charged=True)
    return Outcome(OutcomeKind.FAILED, ending.error, ending.error_type, trace=ending.trace)


def _retried(ending: Ending, delay_seconds: float, charged: bool) -> Outcome:
    return Outcome(
        OutcomeKind.RETRYING,
        ending.error,
        ending.error_type,
        trace=ending.trace,
        delay_seconds=min(delay_seconds, MAX_LATER_SECONDS),
        charged=charged,
    )


def _ending_of_killed(reason: KillReason, end: AttemptEnd) -> Ending:
    """Return what the horse would have reported, had it noticed."""
    if reason is KillReason.CANCELLED:
        return Ending(EndingKind.CANCELLED)
    if reason is KillReason.MEMORY_LIMIT:
        message = f"The job used more than its {end.limits.memory_bytes:,} bytes of memory (MAX_JOB_MEMORY_BYTES)."
        return Ending(EndingKind.FAILED, error=message, error_type=reason, fatal=True)
    if reason is KillReason.STALLED:
        error = JobTimeout(f"The job made no progress for {end.limits.stall_seconds:g} s (stall_timeout).")
    else:
        error = timed_out(end.limits.timeout_seconds)
    retryable = end.policy is not None and end.policy.applies_to(error)
    return Ending(EndingKind.FAILED, error=error.message, error_type=reason, retryable=retryable)
