"""Bulk actions: each job that matched when it began is acted on once, whatever is killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.audit import Audit, Entry
from jobs.engine.accounts.user import ADMIN_ROLE, USER_ROLE
from jobs.engine.broker.store.bulk_steps import BulkOrder
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.bulk import BULK_ACTION
from jobs.engine.client.job import Job
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.submission import Submission, described
from jobs.engine.settings import Settings
from jobs.engine.states import Priority, Status
from jobs.engine.webhooks.outbox import Outbox
from tests.integration.harness import JOB_PACKAGES, Harness, alive
from tests.waiting import eventually

PASSWORD, ADMIN = "correct horse", (ADMIN_ROLE, USER_ROLE)
QUEUES = ["high", "default", "low"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("data")
    return Settings(data_dir=folder, job_packages=("jobs", JOB_PACKAGES), workers=1, shutdown_grace=8)


@pytest.fixture(autouse=True)
def clean(harness: Harness) -> Iterator[None]:
    harness.forget_everything()
    yield
    harness.end_all()


def bulk(harness: Harness, action: str, user_id: str = "alice", **conditions: Any) -> Job:
    return harness.submit(BULK_ACTION, user_id=user_id, action=action, filter=conditions)


def done(harness: Harness, job: Job, timeout: float = 30) -> tuple[int, int, int]:
    ended = harness.ended(job, timeout)
    assert ended.status == "completed", ended.error
    return ended.result["matched"], ended.result["done"], ended.result["skipped"]


def waiting(harness: Harness, count: int, user_id: str = "alice", **options: Any) -> list[str]:
    """Store jobs, a thousand in each step, without the limit of unfinished jobs."""
    options.setdefault("priority", "low")
    kind = harness.catalogue.find("noop")
    ids: list[str] = []
    for begin in range(0, count, 1_000):
        jobs = [
            described(Submission(kind, {}, user_id, **options), harness.settings)
            for _ in range(min(1_000, count - begin))
        ]
        harness.store.submit({"user": user_id}, jobs)
        ids += [job["id"] for job, _ in jobs]
    return ids


def ended(
    harness: Harness, count: int, *, kind: str = "failed", error: str = "the well is dry", **more: Any
) -> list[str]:
    """Store jobs that have ended. No worker may be running."""
    ids = waiting(harness, count, **more)
    for number in range(count):
        claim = harness.store.claim("w", f"e{number}", ["low"])
        assert claim is not None
        outcome = Outcome(OutcomeKind(kind), error, "ValueError") if kind == "failed" else Outcome(OutcomeKind(kind))
        harness.store.finish(claim.job_id, f"e{number}", "w", outcome)
    return ids


def statuses(harness: Harness, ids: Sequence[str]) -> set[str]:
    return {str(harness.client.find(job_id).status) for job_id in ids}


def starts(harness: Harness, job_id: str) -> int:
    return sum(event["type"] == "job_started" for event in harness.client.events(job_id))


def bulk_entries(harness: Harness) -> list[Entry]:
    return [each for each in Audit(harness.connection).page().entries if each.act.action.startswith("bulk-")]


# --- which jobs ----------------------------------------------------------------------------


def test_failed_jobs_are_retried_and_each_runs_once_more(harness: Harness) -> None:
    wrong = ended(harness, 60, error="the well is dry")
    other = ended(harness, 5, error="something else")
    job = bulk(harness, "retry", status="failed", error="well dry")
    harness.start_workers()
    assert done(harness, job) == (60, 60, 0)
    eventually(lambda: statuses(harness, wrong) == {"completed"}, "they run again")
    assert {starts(harness, job_id) for job_id in wrong} == {2}
    assert statuses(harness, other) == {"failed"}


#: Conditions, and how many jobs they match.
FILTERS: list[tuple[dict[str, str], int]] = [
    ({"status": "failed"}, 3),
    ({"error_type": "ValueError"}, 3),
    ({"error_type": "valueerror"}, 0),
    ({"error": "WELL dry"}, 3),
    ({"error": "well wet"}, 0),
    ({"job_type": "noop"}, 6),
    ({"job_type": "echo"}, 0),
    ({"tag": "a"}, 3),
    ({"tag": "b", "status": "failed"}, 0),
    ({"created_before": "2020-01-31T12:00:00Z"}, 0),
    ({"created_after": "2020-01-31T12:00:00Z", "status": "completed"}, 3),
    ({"created_after": "2990-01-31T12:00:00Z"}, 0),
    ({"user_id": "alice", "tag": "b"}, 3),
]


def test_a_filter_matches_jobs_for_which_all_its_conditions_hold(harness: Harness) -> None:
    harness.start_workers(WORKER_QUEUES="high,default")  # the jobs that are matched have the priority low
    for conditions, matched in FILTERS:
        ended(harness, 3, tags=("a", "x"))
        ended(harness, 3, kind="completed", tags=("b",))
        ended(harness, 2, user_id="bob")
        assert done(harness, bulk(harness, "delete", **conditions)) == (matched, matched, 0), conditions
        for user in ("alice", "bob"):
            harness.client.delete_all(user)


def test_only_waiting_and_running_jobs_are_cancelled(harness: Harness) -> None:
    over = ended(harness, 2, kind="completed", tags=("t",))
    harness.start_workers(WORKERS="2")
    running = harness.running(harness.submit("sleep", seconds=60, options={"tags": ("t",)}))
    later = waiting(harness, 30, tags=("t",), delay_seconds=600)
    assert done(harness, bulk(harness, "cancel", tag="t")) == (33, 31, 2)
    assert statuses(harness, later) == {"cancelled"}
    assert harness.ended(running).status == "cancelled"
    assert statuses(harness, over) == {"completed"}


def test_jobs_that_depend_on_each_other_are_each_cancelled_by_itself(harness: Harness) -> None:
    first = waiting(harness, 1, tags=("t",), delay_seconds=600)
    second = waiting(harness, 1, tags=("t",), depends_on=tuple(first))
    third = waiting(harness, 1, tags=("t",), depends_on=tuple(second))
    job = bulk(harness, "cancel", tag="t")
    harness.start_workers()
    assert done(harness, job) == (3, 3, 0)
    assert {harness.client.find(each).error_type for each in [*first, *second, *third]} == {None}


def test_jobs_that_depend_on_each_other_are_retried_in_their_order(harness: Harness) -> None:
    first = ended(harness, 1, tags=("t",))
    second = waiting(harness, 1, tags=("t",), depends_on=tuple(first))
    job = bulk(harness, "retry", tag="t")
    harness.start_workers()
    assert done(harness, job) == (2, 2, 0)
    eventually(lambda: statuses(harness, [*first, *second]) == {"completed"}, "they run again")


def test_deleted_jobs_are_gone_and_unfinished_ones_are_skipped(harness: Harness) -> None:
    over = [*ended(harness, 2), *ended(harness, 2, kind="completed")]
    left = waiting(harness, 2, delay_seconds=600)
    job = bulk(harness, "delete", job_type="noop")
    harness.start_workers()
    assert done(harness, job) == (6, 4, 2)
    assert harness.store.find(over) == []
    assert statuses(harness, left) == {"pending"}
    left_over = [*harness.connection.scan_iter(), *harness.connection.zrange("wh:expiry", 0, -1)]
    assert not [each for each in left_over if any(job_id.encode() in each for job_id in over)]
    counts = harness.client.counts("alice")
    assert (counts[Status.FAILED], counts[Status.PENDING], counts[Status.COMPLETED]) == (0, 2, 1)


def test_a_job_that_came_to_match_later_is_not_touched(harness: Harness) -> None:
    before = ended(harness, 3)
    unfinished = waiting(harness, 2)
    job = bulk(harness, "retry", status="failed")
    harness.store.retry(before[0], 1_000)  # it fails again, which is another failure
    for number in range(4):
        claim = harness.store.claim("w", f"later{number}", ["low"])
        if claim is not None:
            harness.store.finish(claim.job_id, f"later{number}", "w", Outcome(OutcomeKind.FAILED, "late", "ValueError"))
    after = ended(harness, 2)
    harness.start_workers()
    assert done(harness, job) == (2, 2, 0)
    eventually(lambda: statuses(harness, before[1:]) == {"completed"}, "they run again")
    assert statuses(harness, [before[0], *unfinished, *after]) == {"failed"}


def test_a_job_that_was_retried_later_is_not_cancelled(harness: Harness) -> None:
    (failed,) = ended(harness, 1, tags=("t",))
    job = bulk(harness, "cancel", tag="t")
    harness.store.retry(failed, 1_000)
    waiting_later = waiting(harness, 1, tags=("t",), delay_seconds=600)
    harness.start_workers()
    assert done(harness, job) == (1, 0, 1)
    assert harness.client.find(waiting_later[0]).status == "pending"
    assert harness.until(harness.client.find(failed), lambda now: now.status.terminal).status == "completed"


def test_a_bulk_action_does_not_act_on_itself(harness: Harness) -> None:
    earlier = bulk(harness, "delete", status="completed")
    job = bulk(harness, "cancel", job_type=BULK_ACTION)
    claim = harness.store.claim("w", "e", QUEUES)  # the earlier one is running
    assert claim is not None
    assert claim.job_id == earlier.job_id
    harness.start_workers()
    assert done(harness, job) == (1, 1, 0)


def test_two_bulk_actions_at_once_retry_each_job_once(harness: Harness) -> None:
    ids = ended(harness, 300)
    both = [bulk(harness, "retry", status="failed") for _ in range(2)]
    harness.start_workers(WORKERS="2")
    results = [done(harness, job) for job in both]
    assert sum(result[1] for result in results) == 300
    eventually(lambda: statuses(harness, ids) == {"completed"}, "they run again")
    assert {starts(harness, job_id) for job_id in ids} == {2}


def test_a_malformed_record_does_not_stop_it(harness: Harness) -> None:
    ids = ended(harness, 3)
    harness.connection.hset(f"rq:job:{ids[0]}", "tags", "{broken")
    harness.connection.delete(f"wh:events:{ids[1]}")
    harness.connection.sadd(f"wh:events:{ids[1]}", "not a list")
    harness.connection.set("rq:job:other", "not a hash")
    harness.connection.zadd("wh:jobs:alice:failed", {"other": 1})
    job = bulk(harness, "retry", job_type="noop")
    harness.start_workers()
    assert done(harness, job)[1] == 2


# --- whose jobs ----------------------------------------------------------------------------


def test_other_users_jobs_need_an_administrator(harness: Harness) -> None:
    ids = ended(harness, 2, user_id="bob")
    refused = bulk(harness, "delete", user_id="alice", status="failed")
    harness.start_workers()
    assert done(harness, refused) == (0, 0, 0)
    theirs = harness.submit(BULK_ACTION, action="delete", filter={"user_id": "bob", "status": "failed"})
    everyone = harness.submit(BULK_ACTION, action="delete", filter={"user_id": "*", "status": "failed"})
    for job in (theirs, everyone):
        assert "Only administrators" in (harness.ended(job).error or "")
    assert statuses(harness, ids) == {"failed"}


@pytest.fixture
def admin(harness: Harness) -> str:
    return Accounts(harness.connection, harness.settings).register("root", "r@example.com", PASSWORD, ADMIN).user_id


def test_an_administrator_acts_on_the_jobs_of_another_user_or_of_all(harness: Harness, admin: str) -> None:
    bobs, mine = ended(harness, 2, user_id="bob"), ended(harness, 2, user_id=admin)
    unowned = ended(harness, 2, user_id="")
    alices = ended(harness, 2)
    first = harness.submit(BULK_ACTION, user_id=admin, action="delete", filter={"user_id": "bob", "status": "failed"})
    second = harness.submit(BULK_ACTION, user_id=admin, action="delete", filter={"user_id": "*", "status": "failed"})
    harness.connection.sadd("wh:users", "alice", "bob")
    harness.start_workers()
    assert done(harness, first) == (2, 2, 0)
    assert done(harness, second) == (6, 6, 0)
    assert harness.store.find([*bobs, *mine, *unowned, *alices]) == []


# --- kills, cancellation, limits -------------------------------------------------------------


def until_it_has_begun(harness: Harness, job: Job, at_least: int = 1) -> None:
    def looked() -> bool:
        return int(harness.connection.hget(f"wh:bulk:{job.job_id}", "done") or 0) >= at_least

    eventually(looked, "the bulk action has begun")


def test_each_job_is_retried_once_although_workers_are_killed(harness: Harness) -> None:
    ids = ended(harness, 3_000)
    job = bulk(harness, "retry", status="failed")
    harness.start_workers(MAX_ACTIVE_JOBS_PER_USER="10000", WORKER_QUEUES="high")
    for at_least in (1, 800):
        until_it_has_begun(harness, job, at_least)
        for pid in filter(alive, harness.worker_pids()):
            os.kill(pid, signal.SIGKILL)
    assert done(harness, job) == (3_000, 3_000, 0)
    assert harness.client.find(job.job_id).resumed == 2
    assert {sum(event["type"] == "job_queued" for event in harness.client.events(each)) for each in ids} == {2}


def test_a_cancelled_bulk_action_stops_between_two_steps_and_says_how_far_it_is(harness: Harness) -> None:
    ids = ended(harness, 3_000)
    job = bulk(harness, "delete", status="failed")
    harness.start_workers()
    until_it_has_begun(harness, job)
    harness.client.cancel(job.job_id)
    stopped = harness.ended(job)
    left = len(harness.store.find(ids))
    assert stopped.status == "cancelled"
    assert 0 < left < 3_000
    assert stopped.progress_message is not None
    counted = int(re.findall(r"([\d,]+) done", stopped.progress_message)[0].replace(",", ""))
    assert counted == 3_000 - left
    harness.client.retry(job.job_id)
    assert done(harness, job) == (3_000, 3_000, 0)


def test_a_retry_waits_while_its_owner_has_too_many_unfinished_jobs(harness: Harness) -> None:
    ids = ended(harness, 12)
    job = bulk(harness, "retry", status="failed")
    harness.start_workers(MAX_ACTIVE_JOBS_PER_USER="5")
    assert done(harness, job) == (12, 12, 0)
    eventually(lambda: statuses(harness, ids) == {"completed"}, "they run again")
    assert {starts(harness, job_id) for job_id in ids} == {2}


def test_a_bulk_action_does_not_take_the_place_of_a_job_that_it_retries(harness: Harness) -> None:
    ended(harness, 2)
    job = bulk(harness, "retry", status="failed")
    assert harness.store.claim("w", "e", ["high"])
    order = BulkOrder(job.job_id, "alice", "retry", {"statuses": ["failed"], "status": "failed"}, "+inf", 1)
    reply = harness.store.bulk.step(order, "alice")
    assert (reply.verdict, reply.done) == ("full", 1)


def test_a_user_who_may_run_no_more_jobs_can_cancel_them(harness: Harness) -> None:
    harness.start_workers(WORKERS="2", MAX_RUNNING_JOBS_PER_USER="1")
    running = harness.running(harness.submit("sleep", seconds=60))
    waits = waiting(harness, 20)
    assert done(harness, bulk(harness, "cancel", job_type="noop")) == (20, 20, 0)
    assert statuses(harness, waits) == {"cancelled"}
    assert harness.client.find(running.job_id).status == "running"


def test_two_bulk_actions_of_a_user_run_at_the_same_time(harness: Harness) -> None:
    jobs = [bulk(harness, "cancel", status="pending") for _ in range(3)]
    claimed = [harness.store.claim(f"w{number}", f"e{number}", ["high"]) for number in range(3)]
    assert [claim and claim.job_id for claim in claimed] == [jobs[0].job_id, jobs[1].job_id, None]
    assert harness.client.find(jobs[2].job_id).pending_reason == "limited"


def test_a_job_is_not_deleted_before_its_message_is_sent(harness: Harness) -> None:
    (job_id,) = ended(harness, 1, webhook_url="https://hooks.invalid/x")
    job = bulk(harness, "delete", status="failed")
    claim = harness.store.claim("w", "e", ["high"])
    assert claim is not None
    order = BulkOrder(job.job_id, "alice", "delete", {"statuses": ["failed"], "status": "failed"}, "+inf", 10)
    assert harness.store.bulk.step(order, "alice").verdict == "busy"
    Outbox(harness.client).empty()
    reply = harness.store.bulk.step(order, "alice")
    assert (reply.verdict, reply.done) == ("more", 1)
    assert harness.store.find([job_id]) == []


def test_a_job_of_an_unfinished_batch_is_not_deleted(harness: Harness) -> None:
    kind = harness.catalogue.find("noop")
    entries = [Submission(kind, {}, "alice", priority=Priority.LOW, delay_seconds=delay) for delay in (None, 600.0)]
    submit_batch(harness.client, NewGroup("batch", "alice"), entries)
    claim = harness.store.claim("w", "e", ["low"])
    assert claim is not None
    harness.store.finish(claim.job_id, "e", "w", Outcome(OutcomeKind.COMPLETED))
    job = bulk(harness, "delete", status="completed")
    harness.start_workers()
    assert done(harness, job) == (1, 0, 1)
    assert harness.client.find(claim.job_id).status == "completed"


def test_the_audit_log_says_who_did_what_to_which_jobs(harness: Harness) -> None:
    ended(harness, 2)
    job = bulk(harness, "delete", status="failed", error_type="ValueError")
    harness.start_workers()
    done(harness, job)
    (entry,) = bulk_entries(harness)
    assert (entry.act.action, entry.act.user_id) == ("bulk-delete", "alice")
    assert entry.act.subject == (
        f"{job.job_id}, completed: 2 matched, 2 done, 0 skipped; status=failed error_type=ValueError"
    )
