"""Of several equal jobs of a user, only one is stored at a time; and its key is free again however it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.client import Client, Submitted
from jobs.engine.client.job import Job
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.client.ticks import Ticks
from jobs.engine.errors import DuplicateJob, InvalidRequest
from jobs.engine.operate.doctor import Doctor
from jobs.engine.states import PendingReason, Status
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import Harness
from tests.waiting import eventually

COMPLETED = Outcome(OutcomeKind.COMPLETED)
QUEUES = ("high", "default", "low")


@pytest.fixture(autouse=True)
def clean(harness: Harness) -> Iterator[None]:
    yield
    harness.end_all()
    findings = Doctor(harness.store).examine()
    left = keys_of(harness)
    harness.forget_everything()
    assert findings == []
    assert left == []


def keys_of(harness: Harness) -> list[Any]:
    keys: Any = harness.connection.keys
    return list(keys("wh:unique:*"))


def submit(harness: Harness, name: str = "noop", *, user_id: str = "alice", **options: Any) -> Submitted:
    params = options.pop("params", {})
    return harness.client.submit(Submission(harness.catalogue.find(name), params, user_id, **options))


def start(harness: Harness, job: Job) -> str:
    """Claim a job as a worker does. Return the execution."""
    claim = harness.store.claim("worker", f"execution of {job.job_id}", QUEUES)
    assert claim is not None
    assert claim.job_id == job.job_id
    return claim.execution


def finish(harness: Harness, job: Job, outcome: Outcome) -> None:
    harness.store.finish(job.job_id, start(harness, job), "", outcome)


def test_an_equal_submission_gets_the_job_that_exists(harness: Harness):
    first = submit(harness, unique_key="k")
    again = submit(harness, unique_key="k")
    assert (first.deduplicated, again.deduplicated) == (False, True)
    assert again.job.job_id == first.job.job_id
    assert again.job.unique_key == "k"
    assert harness.connection.llen("rq:queue:default") == 1
    harness.client.cancel(first.job.job_id)


def test_other_users_and_other_types_have_keys_of_their_own(harness: Harness):
    ids = {
        submit(harness, unique_key="k").job.job_id,
        submit(harness, unique_key="k", user_id="bob").job.job_id,
        submit(harness, unique_key="K").job.job_id,
        submit(harness, "once-a-word", params={"word": "k"}, unique_key="k").job.job_id,
    }
    assert len(ids) == 4
    for job_id in ids:
        harness.client.cancel(job_id)


def test_a_thousand_equal_submissions_at_once_make_one_job(harness: Harness):
    clients = [Client(connect(harness.settings), harness.settings, harness.catalogue) for _ in range(8)]
    submission = Submission(harness.catalogue.find("once-a-word"), {"word": "a"}, "alice")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: clients[number % 8].submit(submission), range(1_000)))
    for client in clients:
        client.store.connection.close()

    assert len({each.job.job_id for each in found}) == 1
    assert sum(not each.deduplicated for each in found) == 1
    assert harness.client.counts("alice")[Status.PENDING] == 1
    harness.client.cancel(found[0].job.job_id)


def completes(harness: Harness, job: Job) -> None:
    finish(harness, job, COMPLETED)


def fails(harness: Harness, job: Job) -> None:
    finish(harness, job, Outcome(OutcomeKind.FAILED, "no", "ValueError"))


def is_cancelled_while_it_waits(harness: Harness, job: Job) -> None:
    harness.client.cancel(job.job_id)


def is_cancelled_while_it_runs(harness: Harness, job: Job) -> None:
    execution = start(harness, job)
    harness.client.cancel(job.job_id)
    harness.store.finish(job.job_id, execution, "", Outcome(OutcomeKind.CANCELLED))


def times_out(harness: Harness, job: Job) -> None:
    finish(harness, job, Outcome(OutcomeKind.FAILED, "It took too long.", "timeout"))


def is_lost_three_times(harness: Harness, job: Job) -> None:
    for deaths in range(3):
        finish(harness, job, after_death(deaths, Death("signal SIGKILL")))
    assert harness.client.find(job.job_id).error_type == "worker_lost"


def loses_its_user_while_it_waits(harness: Harness, job: Job) -> None:
    harness.store.remove(job.job_id, "alice")


def loses_its_user_while_it_runs(harness: Harness, job: Job) -> None:
    execution = start(harness, job)
    harness.store.remove(job.job_id, "alice")
    harness.store.finish(job.job_id, execution, "", Outcome(OutcomeKind.CANCELLED))


def is_deleted_with_the_tools_of_rq(harness: Harness, job: Job) -> None:
    harness.connection.lrem("rq:queue:default", 0, job.job_id)
    harness.connection.zrem("wh:jobs:alice:pending", job.job_id)
    harness.connection.delete(f"rq:job:{job.job_id}", f"wh:events:{job.job_id}")


@pytest.mark.parametrize(
    "ends",
    [
        completes,
        fails,
        is_cancelled_while_it_waits,
        is_cancelled_while_it_runs,
        times_out,
        is_lost_three_times,
        loses_its_user_while_it_waits,
        loses_its_user_while_it_runs,
        is_deleted_with_the_tools_of_rq,
    ],
)
def test_a_key_is_free_however_its_job_ends(harness: Harness, ends: Any):
    first = submit(harness, unique_key="k").job
    assert submit(harness, unique_key="k").deduplicated

    ends(harness, first)

    second = submit(harness, unique_key="k")
    assert not second.deduplicated
    assert second.job.job_id != first.job_id
    assert submit(harness, unique_key="k").job.job_id == second.job.job_id
    harness.client.cancel(second.job.job_id)


def test_a_key_is_kept_over_retries_and_the_death_of_a_worker(harness: Harness):
    job = submit(harness, unique_key="k").job
    finish(harness, job, after_death(0, Death("signal SIGKILL")))
    assert submit(harness, unique_key="k").job.job_id == job.job_id
    finish(harness, job, Outcome(OutcomeKind.RETRYING, "later", "OSError", delay_seconds=60))
    assert submit(harness, unique_key="k").job.job_id == job.job_id
    harness.client.cancel(job.job_id)


def test_a_key_until_the_start_is_free_once_the_job_runs(harness: Harness):
    first = submit(harness, "until-started", params={"word": "a"}).job
    assert submit(harness, "until-started", params={"word": "a"}).deduplicated
    execution = start(harness, first)

    second = submit(harness, "until-started", params={"word": "a"})

    assert not second.deduplicated
    harness.store.finish(first.job_id, execution, "", COMPLETED)
    assert submit(harness, "until-started", params={"word": "a"}).job.job_id == second.job.job_id
    harness.client.cancel(second.job.job_id)


def test_a_key_is_free_after_its_time_to_live(harness: Harness):
    first = submit(harness, "unique-for-a-moment").job
    assert submit(harness, "unique-for-a-moment").deduplicated
    eventually(lambda: not keys_of(harness), "the key expires")

    second = submit(harness, "unique-for-a-moment")

    assert not second.deduplicated
    harness.client.cancel(first.job_id)
    assert submit(harness, "unique-for-a-moment").job.job_id == second.job.job_id
    harness.client.cancel(second.job.job_id)


def test_a_type_may_refuse_equal_jobs(harness: Harness):
    first = submit(harness, "unique-or-refused", params={"word": "a"}).job
    with pytest.raises(DuplicateJob, match=first.job_id):
        submit(harness, "unique-or-refused", params={"word": "a"})
    harness.client.cancel(first.job_id)


# --- the newer parameters ---------------------------------------------------------------


def newest(harness: Harness, word: str, **options: Any) -> Submitted:
    return submit(harness, "newest-word", params={"word": word}, unique_key="k", **options)


def test_a_waiting_job_takes_the_newer_parameters_and_the_newer_time(harness: Harness):
    first = newest(harness, "a", delay_seconds=60).job
    later = newest(harness, "b", delay_seconds=3_600)
    assert (later.deduplicated, later.job.job_id, later.job.params) == (True, first.job_id, {"word": "b"})
    assert later.job.version == first.version + 1
    assert later.job.pending_reason is PendingReason.SCHEDULED
    assert later.job.scheduled_at is not None
    assert first.scheduled_at is not None
    assert later.job.scheduled_at - first.scheduled_at > timedelta(seconds=3_500)

    unchanged = newest(harness, "c").job
    assert (unchanged.params, unchanged.scheduled_at) == ({"word": "c"}, later.job.scheduled_at)
    harness.client.cancel(first.job_id)


def test_a_waiting_job_takes_the_newer_deadline_or_keeps_its_own(harness: Harness):
    first = newest(harness, "a", start_within_seconds=600).job
    later = newest(harness, "b", start_within_seconds=1_200).job
    assert later.start_by and first.start_by
    assert later.start_by - first.start_by > timedelta(seconds=500)
    assert harness.connection.zscore("wh:start_by", first.job_id) == pytest.approx(later.start_by.timestamp())

    assert newest(harness, "c").job.start_by == later.start_by
    assert harness.connection.zscore("wh:start_by", first.job_id) == pytest.approx(later.start_by.timestamp())
    harness.client.cancel(first.job_id)


def test_the_newer_deadline_counts_from_the_time_at_which_the_waiting_job_is_due(harness: Harness):
    first = newest(harness, "a", delay_seconds=600).job
    later = newest(harness, "b", start_within_seconds=2).job
    assert first.scheduled_at and later.start_by
    assert later.scheduled_at == first.scheduled_at
    assert (later.start_by - first.scheduled_at).total_seconds() == pytest.approx(2)

    sooner = newest(harness, "c", delay_seconds=60, start_within_seconds=2).job
    assert sooner.scheduled_at and sooner.start_by
    assert sooner.scheduled_at < first.scheduled_at
    assert (sooner.start_by - sooner.scheduled_at).total_seconds() == pytest.approx(2)
    harness.client.cancel(first.job_id)


def test_the_newer_deadline_of_a_job_that_is_due_counts_from_the_submission(harness: Harness):
    before = submit(harness).job
    job = newest(harness, "a", depends_on=(before.job_id,), delay_seconds=60).job
    waiting = newest(harness, "b", start_within_seconds=2).job
    assert waiting.start_by and job.scheduled_at
    assert (waiting.start_by - job.scheduled_at).total_seconds() == pytest.approx(2)
    harness.client.cancel(before.job_id)

    due = newest(harness, "a").job
    later = newest(harness, "b", delay_seconds=3_600, start_within_seconds=60).job
    assert (later.job_id, later.scheduled_at) == (due.job_id, None)
    assert later.start_by
    assert later.start_by - datetime.now(UTC) < timedelta(seconds=61)
    harness.client.cancel(due.job_id)


def test_newer_parameters_that_could_never_start_are_refused(harness: Harness):
    first = newest(harness, "a", delay_seconds=600).job
    with pytest.raises(InvalidRequest) as refused:
        newest(harness, "b", start_by=datetime.now(UTC) + timedelta(seconds=300))
    (fault,) = refused.value.faults
    assert (fault.code, fault.parameter) == ("never_starts", "start_by")
    assert first.job_id in fault.message
    assert harness.client.find(first.job_id) == first

    dated = newest(harness, "b", start_by=datetime.now(UTC) + timedelta(seconds=900)).job
    with pytest.raises(InvalidRequest, match="start_by"):
        newest(harness, "c", delay_seconds=1_800)
    assert harness.client.find(first.job_id) == dated
    harness.client.cancel(first.job_id)


def test_a_job_past_its_deadline_does_not_keep_its_key(harness: Harness):
    first = newest(harness, "a", start_within_seconds=0.01).job
    eventually(lambda: not newest(harness, "b").deduplicated, "the deadline passes")
    second = newest(harness, "b").job
    assert second.job_id != first.job_id
    assert harness.client.find(first.job_id).error_type == "expired"
    assert newest(harness, "c").job.job_id == second.job_id
    harness.client.cancel(second.job_id)


def test_a_job_that_is_due_keeps_its_place_and_runs_with_the_newest_parameters(harness: Harness):
    first = newest(harness, "a").job
    newest(harness, "b", delay_seconds=60)
    claim = harness.store.claim("worker", "execution", QUEUES)
    assert isinstance(claim, Claim)
    assert claim.order.params == {"word": "b"}
    harness.store.finish(first.job_id, "execution", "", COMPLETED)


def test_a_job_that_has_started_does_not_change(harness: Harness):
    job = newest(harness, "a").job
    execution = start(harness, job)
    with pytest.raises(DuplicateJob, match="has started"):
        newest(harness, "b")
    harness.store.finish(job.job_id, execution, "", Outcome(OutcomeKind.RETRYING, "x", "OSError", delay_seconds=60))
    with pytest.raises(DuplicateJob, match="has started"):
        newest(harness, "b")
    assert harness.client.find(job.job_id).params == {"word": "a"}
    harness.client.cancel(job.job_id)


def test_a_job_that_waits_for_another_takes_the_newer_parameters(harness: Harness):
    before = submit(harness).job
    job = newest(harness, "a", depends_on=(before.job_id,)).job
    assert newest(harness, "b").job.pending_reason is PendingReason.WAITING
    newest(harness, "c", delay_seconds=60)
    finish(harness, before, COMPLETED)
    ready = harness.client.find(job.job_id)
    assert (ready.params, ready.pending_reason) == ({"word": "c"}, PendingReason.SCHEDULED)
    harness.client.cancel(job.job_id)


# --- with other options -----------------------------------------------------------------


def test_an_idempotency_key_comes_before_a_unique_key(harness: Harness):
    first = submit(harness, unique_key="k", idempotency_key="i", digest="1")
    again = submit(harness, unique_key="k", idempotency_key="i", digest="1")
    assert (again.replayed, again.deduplicated) == (True, False)
    other = submit(harness, unique_key="k", idempotency_key="j", digest="1")
    assert (other.replayed, other.deduplicated) == (False, True)
    finish(harness, first.job, COMPLETED)

    replay = submit(harness, unique_key="k", idempotency_key="j", digest="1")

    assert (replay.replayed, replay.job.job_id) == (True, first.job.job_id)


def test_a_retry_takes_the_key_again_or_is_refused(harness: Harness):
    first = submit(harness, unique_key="k").job
    fails(harness, first)
    second = submit(harness, unique_key="k").job
    with pytest.raises(DuplicateJob, match=second.job_id):
        harness.client.retry(first.job_id)
    harness.client.cancel(second.job_id)

    harness.client.retry(first.job_id)

    assert submit(harness, unique_key="k").job.job_id == first.job_id
    harness.client.cancel(first.job_id)


def test_a_batch_with_a_job_that_exists_is_refused_whole(harness: Harness):
    first = submit(harness, unique_key="k").job
    noop = harness.catalogue.find("noop")
    entries = [Submission(noop, {}, "alice"), Submission(noop, {}, "alice", unique_key="k")]
    with pytest.raises(DuplicateJob, match=f"/jobs/1: Job {first.job_id}"):
        submit_batch(harness.client, NewGroup("batch", "alice"), entries)
    equal = [*entries[:1], *[Submission(noop, {}, "alice", unique_key="j")] * 2]
    with pytest.raises(DuplicateJob, match="/jobs/2: This job has the same unique key as /jobs/1 of the request"):
        submit_batch(harness.client, NewGroup("batch", "alice"), equal)
    assert harness.client.counts("alice")[Status.PENDING] == 1
    harness.client.cancel(first.job_id)


def test_a_job_cancelled_with_its_dependency_frees_its_key(harness: Harness):
    before = submit(harness).job
    job = submit(harness, unique_key="k", depends_on=(before.job_id,)).job
    assert submit(harness, unique_key="k").job.job_id == job.job_id
    harness.client.cancel(before.job_id)
    assert harness.client.find(job.job_id).error_type == "dependency_failed"
    dead = submit(harness, unique_key="k", depends_on=(before.job_id,)).job
    assert dead.status is Status.CANCELLED
    assert keys_of(harness) == []


def test_a_deadline_frees_the_key(harness: Harness):
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    submit(harness, unique_key="k", start_by=soon)
    scheduler = Scheduler(harness.store)

    def is_free() -> bool:
        scheduler.end_late()
        return not keys_of(harness)

    eventually(is_free, "the job expires")
    assert not submit(harness, unique_key="k").deduplicated
    harness.client.cancel(submit(harness, unique_key="k").job.job_id)


def test_a_schedule_of_a_unique_type_goes_on_while_its_job_waits(harness: Harness):
    schedules = Schedules(harness.client)
    first = submit(harness, "once-a-word", params={"word": "a"}).job
    schedule = schedules.create("alice", Plan("once-a-word", {"word": "a"}, "0 3 * * *"))
    harness.connection.zadd("wh:schedules", {schedule.schedule_id: 1})

    Ticks(harness.client).run_due()

    now = schedules.find(schedule.schedule_id)
    assert (now.last_job_id, now.problem) == (None, None)
    tick = schedules.runs(schedule.schedule_id)[0]
    assert (str(tick.outcome), tick.job_id) == ("skipped", first.job_id)
    assert now.next_run_at is not None
    assert now.next_run_at > datetime.now(UTC)
    harness.client.cancel(first.job_id)
    schedules.delete(schedule.schedule_id)


# --- on real workers --------------------------------------------------------------------


def test_a_killed_job_keeps_its_key_and_frees_it_at_its_end(harness: Harness, tmp_path: Path):
    harness.start_workers()
    job = submit(harness, "one-at-a-time", params={"path": str(tmp_path), "seconds": 30}, unique_key="k").job
    harness.running(job)
    mark = eventually(lambda: next(tmp_path.iterdir(), None), "it runs")
    (pid,) = harness.worker_pids()
    mark.unlink()
    os.kill(pid, signal.SIGKILL)
    again = submit(harness, "one-at-a-time", params={"path": str(tmp_path), "seconds": 30}, unique_key="k")
    assert again.job.job_id == job.job_id
    harness.until(job, lambda now: now.resumed == 1 and now.status == "running")
    harness.client.cancel(job.job_id)
    harness.ended(job)
    started = time.monotonic()
    last = submit(harness, unique_key="k")
    assert not last.deduplicated
    assert harness.ended(last.job).status == "completed"
    assert time.monotonic() - started < 10
