"""A job that has not started by its deadline never starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.errors import InvalidRequest
from jobs.engine.operate.doctor import Doctor
from jobs.engine.states import PendingReason, Status
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import Harness
from tests.waiting import eventually

QUEUES = ("high", "default", "low")


@pytest.fixture(autouse=True)
def clean(harness: Harness) -> Iterator[None]:
    yield
    harness.end_all()
    findings = Doctor(harness.store).examine()
    left = harness.connection.zcard("wh:start_by")
    harness.forget_everything()
    assert findings == []
    assert left == 0


def submit(harness: Harness, name: str = "noop", **options: Any) -> Job:
    params = options.pop("params", {})
    return harness.client.submit(Submission(harness.catalogue.find(name), params, "alice", **options)).job


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def expired(harness: Harness, job: Job) -> Job:
    scheduler = Scheduler(harness.store)

    def ended() -> bool:
        scheduler.end_late()
        return harness.client.find(job.job_id).status.terminal

    eventually(ended, "the deadline passes")
    return harness.client.find(job.job_id)


def claim(harness: Harness, execution: str = "execution") -> str | None:
    found = harness.store.claim("worker", execution, QUEUES)
    return found.job_id if found else None


def test_a_late_job_is_cancelled_with_a_clear_error(harness: Harness):
    job = submit(harness, start_within_seconds=0.2)
    assert job.start_by is not None
    assert job.created_at is not None
    assert timedelta(0) < job.start_by - job.created_at < timedelta(seconds=0.3)

    late = expired(harness, job)

    assert (late.status, late.error_type) == (Status.CANCELLED, "expired")
    assert late.error == f"The job had not started by {job.start_by:%Y-%m-%dT%H:%M:%S}Z, its start_by."
    assert late.started_at is None
    assert harness.client.events(job.job_id)[-1]["type"] == "job_cancelled"
    assert claim(harness) is None


def test_a_claim_never_takes_a_late_job(harness: Harness):
    late = submit(harness, start_within_seconds=0.1)
    other = submit(harness)
    eventually(lambda: late.start_by is not None and datetime.now(UTC) > late.start_by, "the deadline passes")

    assert claim(harness) == other.job_id

    assert harness.client.find(late.job_id).error_type == "expired"
    harness.store.finish(other.job_id, "execution", "", Outcome(OutcomeKind.COMPLETED))


def test_a_job_that_has_started_does_not_expire(harness: Harness):
    job = submit(harness, start_within_seconds=0.3)
    assert claim(harness, "1") == job.job_id
    assert harness.store.finish(job.job_id, "1", "", after_death(0, Death("signal SIGKILL"))) == "resumed"
    eventually(lambda: job.start_by is not None and datetime.now(UTC) > job.start_by, "the deadline passes")
    Scheduler(harness.store).end_late()
    assert claim(harness, "2") == job.job_id
    harness.store.finish(job.job_id, "2", "", Outcome(OutcomeKind.RETRYING, "x", "OSError", delay_seconds=60))
    Scheduler(harness.store).end_late()

    now = harness.client.find(job.job_id)

    assert (now.pending_reason, now.start_by) == (PendingReason.RETRYING, job.start_by)
    harness.client.cancel(job.job_id)


def test_the_time_to_start_counts_from_when_a_delayed_job_is_due(harness: Harness):
    job = submit(harness, delay_seconds=60, start_within_seconds=5)
    assert job.scheduled_at is not None
    assert job.start_by is not None
    assert job.start_by - job.scheduled_at == timedelta(seconds=5)
    harness.client.cancel(job.job_id)


def test_a_scheduled_or_waiting_job_expires_too(harness: Harness):
    before = submit(harness)
    waiting = submit(harness, depends_on=(before.job_id,), start_within_seconds=0.1)
    scheduled = submit(harness, run_at=in_seconds(0.05), start_by=in_seconds(0.15))
    assert expired(harness, waiting).error_type == "expired"
    assert expired(harness, scheduled).error_type == "expired"
    assert harness.connection.zcard("rq:deferred:default") == harness.connection.zcard("rq:scheduled:default") == 0
    harness.client.cancel(before.job_id)


def test_jobs_that_depend_on_a_late_job_are_cancelled(harness: Harness):
    late = submit(harness, start_within_seconds=0.1)
    dependent = submit(harness, depends_on=(late.job_id,))
    expired(harness, late)
    assert harness.client.find(dependent.job_id).error_type == "dependency_failed"


def test_a_job_type_may_set_the_time_and_a_submission_another(harness: Harness):
    by_type = submit(harness, "soon-or-never")
    by_request = submit(harness, "soon-or-never", start_within_seconds=600)
    fixed = submit(harness, "soon-or-never", start_by=datetime(2099, 1, 1, tzinfo=UTC))
    assert by_type.created_at is not None
    assert by_type.start_by is not None
    assert abs((by_type.start_by - by_type.created_at).total_seconds() - 60) < 0.01
    assert by_request.start_by is not None
    assert by_request.start_by - by_type.start_by > timedelta(seconds=500)
    assert fixed.start_by == datetime(2099, 1, 1, tzinfo=UTC)
    for job in (by_type, by_request, fixed):
        harness.client.cancel(job.job_id)


@pytest.mark.parametrize(
    "options",
    [
        {"start_by": datetime(2020, 1, 1, tzinfo=UTC)},
        {"start_by": datetime(2090, 1, 1, tzinfo=UTC), "run_at": datetime(2091, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_deadline_before_the_start_is_refused(harness: Harness, options: dict[str, Any]):
    with pytest.raises(InvalidRequest) as refused:
        submit(harness, **options)
    assert [(fault.parameter, fault.code) for fault in refused.value.faults] == [("start_by", "never_starts")]
    assert harness.client.counts("alice")[Status.PENDING] == 0


def test_an_explicit_retry_has_no_deadline(harness: Harness):
    job = expired(harness, submit(harness, start_within_seconds=0.1))
    again = harness.client.retry(job.job_id)
    assert (again.status, again.start_by, again.error_type) == (Status.PENDING, None, None)
    assert claim(harness) == job.job_id
    harness.store.finish(job.job_id, "execution", "", Outcome(OutcomeKind.COMPLETED))


def test_many_late_jobs_end_in_bounded_steps(harness: Harness):
    jobs = [submit(harness, start_within_seconds=0.05) for _ in range(250)]
    eventually(lambda: (start_by := jobs[-1].start_by) is not None and datetime.now(UTC) > start_by, "all are late")
    assert [harness.store.end_late(), harness.store.end_late(), harness.store.end_late()] == [100, 100, 50]
    assert harness.client.counts("alice")[Status.CANCELLED] == 250


def test_a_waiting_job_expires_while_all_workers_are_busy(harness: Harness, tmp_path: Any):
    harness.start_workers()
    running = submit(harness, "any-number-at-once", params={"path": str(tmp_path), "seconds": 30})
    harness.running(running)
    late = submit(harness, start_within_seconds=0.3)
    assert harness.ended(late).error_type == "expired"
    harness.client.cancel(running.job_id)
    harness.ended(running)
