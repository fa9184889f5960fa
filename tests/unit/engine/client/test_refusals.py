"""The error of each verdict."""

from __future__ import annotations

import pytest

from jobs.engine.broker.store.records import Record
from jobs.engine.broker.store.verdicts import (
    CancelVerdict,
    RetryReply,
    RetryVerdict,
    ScheduleVerdict,
    SubmitReply,
    SubmitVerdict,
)
from jobs.engine.client.job import Job
from jobs.engine.client.refusals import (
    raise_unless_cancelled,
    raise_unless_retried,
    raise_unless_scheduled,
    raise_unless_stored,
)
from jobs.engine.errors import (
    Conflict,
    DuplicateJob,
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
    WorkhorseError,
)

JOB = Job.from_record(Record("j1", {"status": b"finished"}, {}, 0, 0.0))

STORED: dict[SubmitVerdict, type[WorkhorseError] | None] = {
    SubmitVerdict.STORED: None,
    SubmitVerdict.REPLAYED: None,
    SubmitVerdict.DEDUPLICATED: None,
    SubmitVerdict.TAKEN: None,
    SubmitVerdict.OVERLAP: None,
    SubmitVerdict.NO_SCHEDULE: ScheduleNotFound,
    SubmitVerdict.NOT_ADMITTED: Unauthenticated,
    SubmitVerdict.NO_USER: Unauthenticated,
    SubmitVerdict.KEY_REUSED: IdempotencyKeyReused,
    SubmitVerdict.UNKNOWN_DEPENDENCY: InvalidRequest,
    SubmitVerdict.FOREIGN_DEPENDENCY: Forbidden,
    SubmitVerdict.NEVER_STARTS: InvalidRequest,
    SubmitVerdict.DUPLICATE: DuplicateJob,
    SubmitVerdict.DUPLICATE_IN_REQUEST: DuplicateJob,
    SubmitVerdict.DUPLICATE_STARTED: DuplicateJob,
    SubmitVerdict.TOO_MANY_ACTIVE: TooManyActiveJobs,
}
CANCELLED: dict[CancelVerdict, type[WorkhorseError] | None] = {
    CancelVerdict.CANCELLED: None,
    CancelVerdict.STOPPING: None,
    CancelVerdict.ENDED: JobEnded,
    CancelVerdict.MISSING: JobNotFound,
}
RETRIED: dict[RetryVerdict, type[WorkhorseError] | None] = {
    RetryVerdict.PENDING: None,
    RetryVerdict.NOT_ENDED: JobNotEnded,
    RetryVerdict.MISSING: JobNotFound,
    RetryVerdict.DEPENDENCY_FAILED: Conflict,
    RetryVerdict.DUPLICATE: DuplicateJob,
    RetryVerdict.TOO_MANY_ACTIVE: TooManyActiveJobs,
}
SCHEDULED: dict[ScheduleVerdict, type[WorkhorseError] | None] = {
    ScheduleVerdict.STORED: None,
    ScheduleVerdict.NO_USER: Unauthenticated,
    ScheduleVerdict.TOO_MANY: TooManySchedules,
}


def raised(check: object, *arguments: object) -> type[Exception] | None:
    assert callable(check)
    try:
        check(*arguments)
    except WorkhorseError as error:
        return type(error)
    return None


@pytest.mark.parametrize("verdict", SubmitVerdict)
def test_each_verdict_on_a_submission_has_its_error(verdict: SubmitVerdict) -> None:
    assert raised(raise_unless_stored, SubmitReply(verdict, "j2", -1), 10) is STORED[verdict]


@pytest.mark.parametrize("verdict", CancelVerdict)
def test_each_verdict_on_a_cancellation_has_its_error(verdict: CancelVerdict) -> None:
    assert raised(raise_unless_cancelled, verdict, JOB) is CANCELLED[verdict]


@pytest.mark.parametrize("verdict", RetryVerdict)
def test_each_verdict_on_a_retry_has_its_error(verdict: RetryVerdict) -> None:
    assert raised(raise_unless_retried, RetryReply(verdict, "j2", 10), JOB, 10) is RETRIED[verdict]


@pytest.mark.parametrize("verdict", ScheduleVerdict)
def test_each_verdict_on_a_schedule_has_its_error(verdict: ScheduleVerdict) -> None:
    assert raised(raise_unless_scheduled, verdict, 10) is SCHEDULED[verdict]


def test_a_refused_retry_names_the_count_and_the_limit() -> None:
    with pytest.raises(TooManyActiveJobs, match=r"has 1,000 unfinished jobs, and the limit is 1,000\."):
        raise_unless_retried(RetryReply(RetryVerdict.TOO_MANY_ACTIVE, active=1_000), JOB, 1_000)
