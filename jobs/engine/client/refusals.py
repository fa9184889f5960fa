"""Raise the error that a verdict of the broker's scripts means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from jobs.engine.accounts.admission import refuse
from jobs.engine.broker.store.verdicts import (
    CancelVerdict,
    RetryReply,
    RetryVerdict,
    ScheduleVerdict,
    SubmitReply,
    SubmitVerdict,
)
from jobs.engine.errors import (
    Conflict,
    DuplicateJob,
    Fault,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    ScheduleNotFound,
    TooManyActiveJobs,
    TooManySchedules,
    Unauthenticated,
)

from .job import Job
from .submission import Part

#: How long a caller who has reached the limit of active jobs is asked to wait.
_LIMIT_RETRY_SECONDS = 5


def raise_unless_stored(reply: SubmitReply, max_active: int, parts: Sequence[Part] = ()) -> None:
    """Raise the error of a submission that was not stored. With `parts`, its faults point into the request."""
    match reply.verdict:
        case SubmitVerdict.STORED | SubmitVerdict.REPLAYED | SubmitVerdict.DEDUPLICATED:
            return
        case SubmitVerdict.TAKEN | SubmitVerdict.OVERLAP:
            return
        case SubmitVerdict.NOT_ADMITTED:
            refuse(reply.number)
        case SubmitVerdict.NO_USER:
            raise Unauthenticated("This user no longer exists.")
        case SubmitVerdict.NO_SCHEDULE:
            raise ScheduleNotFound()
        case SubmitVerdict.KEY_REUSED:
            raise IdempotencyKeyReused()
        case SubmitVerdict.UNKNOWN_DEPENDENCY:
            raise InvalidRequest([_unknown_job(reply, parts)])
        case SubmitVerdict.FOREIGN_DEPENDENCY:
            raise Forbidden(f"Job {reply.subject_id} in depends_on belongs to another user.")
        case SubmitVerdict.NEVER_STARTS:
            raise InvalidRequest([_never_starts(reply, parts)])
        case SubmitVerdict.DUPLICATE:
            raise _duplicate(reply, parts)
        case SubmitVerdict.DUPLICATE_IN_REQUEST:
            raise _duplicate_in_request(reply, parts)
        case SubmitVerdict.DUPLICATE_STARTED:
            raise DuplicateJob(f"Job {reply.subject_id} has the same unique key and has started; it can't be changed.")
        case SubmitVerdict.TOO_MANY_ACTIVE:
            raise _too_many_active(f"You have {reply.number:,} unfinished jobs", max_active)
        case _:
            assert_never(reply.verdict)


def raise_unless_cancelled(verdict: CancelVerdict, job: Job) -> None:
    """Raise the error of a job that can't be cancelled."""
    match verdict:
        case CancelVerdict.CANCELLED | CancelVerdict.STOPPING:
            return
        case CancelVerdict.ENDED:
            raise JobEnded(f"The job is {job.status} and can't be cancelled.")
        case CancelVerdict.MISSING:
            raise job_not_found(job.job_id)
        case _:
            assert_never(verdict)


def raise_unless_retried(reply: RetryReply, job: Job, max_active: int) -> None:
    """Raise the error of a job that can't be retried."""
    match reply.verdict:
        case RetryVerdict.PENDING:
            return
        case RetryVerdict.NOT_ENDED:
            raise JobNotEnded(f"The job is {job.status}; only a failed or cancelled job can be retried.")
        case RetryVerdict.MISSING:
            raise job_not_found(job.job_id)
        case RetryVerdict.DEPENDENCY_FAILED:
            dependency = reply.other_id
            raise Conflict(f"The job depends on job {dependency}, which has not completed. Retry that one first.")
        case RetryVerdict.DUPLICATE:
            raise DuplicateJob(f"Job {reply.other_id} has the same unique key. Wait until it has ended.")
        case RetryVerdict.TOO_MANY_ACTIVE:
            raise _too_many_active(f"The job's owner has {reply.active:,} unfinished jobs", max_active)
        case _:
            assert_never(reply.verdict)


def raise_if_ended(job: Job) -> None:
    """Raise what cancelling the job would raise now."""
    if job.status.terminal:
        raise_unless_cancelled(CancelVerdict.ENDED, job)


def raise_unless_scheduled(verdict: ScheduleVerdict, max_schedules: int) -> None:
    """Raise the error of a schedule that was not stored."""
    match verdict:
        case ScheduleVerdict.STORED:
            return
        case ScheduleVerdict.NO_USER:
            raise Unauthenticated("This user no longer exists.")
        case ScheduleVerdict.TOO_MANY:
            raise TooManySchedules(f"You have reached your limit of {max_schedules} schedules. Delete some first.")
        case _:
            assert_never(verdict)


def job_not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id[:64]!r}; it may have expired.")


def _unknown_job(reply: SubmitReply, parts: Sequence[Part]) -> Fault:
    message = f"there is no job {reply.subject_id}; it may have expired"
    if not parts:
        return Fault(message, "unknown_job", parameter="depends_on")
    part = parts[reply.number - 1]
    place = part.submission.depends_on.index(reply.subject_id)
    return Fault(message, "unknown_job", pointer=f"{part.at}/depends_on/{place}")


def _never_starts(reply: SubmitReply, parts: Sequence[Part]) -> Fault:
    if reply.subject_id:
        waiting = f"job {reply.subject_id} has the same unique key and would have to start before it is due"
        return Fault(f"{waiting}; choose a later time", "never_starts", parameter="start_by")
    message = "the job may not start before this time; choose a later one"
    if not parts:
        return Fault(message, "never_starts", parameter="start_by")
    return Fault(message, "never_starts", pointer=f"{parts[reply.number - 1].at}/start_by")


def _duplicate(reply: SubmitReply, parts: Sequence[Part]) -> DuplicateJob:
    where = f"{parts[reply.number - 1].at}: " if parts else ""
    return DuplicateJob(
        f"{where}Job {reply.subject_id} has the same unique key. Wait until it has ended, or cancel it."
    )


def _duplicate_in_request(reply: SubmitReply, parts: Sequence[Part]) -> DuplicateJob:
    this, other = (parts[position - 1].at if parts else f"job {position}" for position in (reply.number, reply.other))
    return DuplicateJob(
        f"{this}: This job has the same unique key as {other} of the request. Send only one of them, or another "
        "unique_key."
    )


def _too_many_active(count: str, max_active: int) -> TooManyActiveJobs:
    message = f"{count}, and the limit is {max_active:,}. Wait for some of them to end."
    return TooManyActiveJobs(message, retry_after=_LIMIT_RETRY_SECONDS)
