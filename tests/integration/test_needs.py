"""A job runs on a worker that meets its needs, and says so if there is none."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import rq
from rq.serializers import JSONSerializer

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.operate.control import Control
from jobs.engine.operate.metrics import Metrics
from jobs.engine.operate.workers import workers
from tests.integration.harness import Harness
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("examined")


def a_minute_passes(harness: Harness) -> None:
    """Let the queues that are unused have been so for a minute more."""
    connection: Any = harness.connection
    for queue in connection.zrange("wh:unused", 0, -1):
        connection.zincrby("wh:unused", -61, queue)


def test_each_of_two_hosts_runs_the_jobs_that_it_can(harness: Harness) -> None:
    harness.start_workers(WORKER_CAN="gpu")
    harness.start_workers(WORKER_CAN="large,gpu")
    plain = [harness.submit("noop") for _ in range(3)]
    large = [harness.submit("on-large-gpu") for _ in range(3)]
    small = [harness.submit("on-gpu", options={"priority": priority}) for priority in ("high", "low")]

    assert {harness.ended(job).result for job in large} == {"large,gpu"}
    assert {harness.ended(job).result for job in small} <= {"gpu", "large,gpu"}
    assert {harness.ended(job).status for job in plain} == {"completed"}
    assert [(job.priority, job.needs) for job in (large[0], small[0])] == [
        ("default", ["gpu", "large"]),
        ("high", ["gpu"]),
    ]


def test_a_worker_that_only_does_some_jobs_leaves_the_others(harness: Harness) -> None:
    harness.start_workers(WORKER_ONLY="gpu")
    plain = harness.submit("noop", options={"priority": "high"})
    assert harness.run("on-gpu").status == "completed"
    assert harness.client.find(plain.job_id).status == "pending"
    (worker,) = workers(harness.store)
    assert (worker.queues, worker.can) == (("default@gpu",), ("gpu",))


def test_a_job_that_no_live_worker_can_run_says_so_until_there_is_one(harness: Harness) -> None:
    harness.start_workers()
    job = harness.submit("on-gpu")
    assert job.pending_reason == "queued"
    waiting = harness.until(job, lambda now: now.pending_reason == "no_worker")
    assert waiting.status == "pending"
    (queue,) = [each for each in Metrics(harness.store).read().queues if each.no_worker]
    assert (queue.name, queue.no_worker) == ("default@gpu", 1)

    harness.start_workers(WORKER_CAN="gpu")
    assert harness.ended(job).status == "completed"
    assert not any(each.no_worker for each in Metrics(harness.store).read().queues)


def test_a_job_that_waits_for_a_busy_worker_has_a_worker(harness: Harness) -> None:
    harness.start_workers(WORKER_CAN="gpu")
    busy = harness.running(harness.submit("stay-on-gpu", seconds=100))
    eventually(lambda: harness.connection.exists("wh:served:default@gpu"), "the queue is announced")
    harness.connection.delete("wh:served:default@gpu")
    job = harness.submit("on-gpu")
    eventually(lambda: harness.connection.exists("wh:served:default@gpu"), "the busy worker announces the queue")
    assert harness.client.find(job.job_id).pending_reason == "queued"
    harness.client.cancel(busy.job_id)
    assert harness.ended(job).status == "completed"


def test_a_job_comes_back_to_a_worker_that_can_run_it(harness: Harness) -> None:
    harness.start_workers()
    harness.start_workers(WORKER_CAN="gpu")
    assert harness.run("come-back-to-gpu").result == ["gpu", "gpu", "gpu"]


def test_a_job_whose_worker_was_killed_goes_on_on_another_that_can_run_it(harness: Harness) -> None:
    harness.start_workers()
    process = harness.start_workers(WORKER_CAN="gpu")
    job = harness.running(harness.submit("stay-on-gpu", seconds=3))
    worker = next(each for each in workers(harness.store) if each.job_id == job.job_id)
    os.kill(int(worker.pid), signal.SIGKILL)
    ended = harness.ended(job)
    assert (ended.status, ended.resumed) == ("completed", 1)
    assert process.poll() is None


def test_a_limit_holds_in_a_queue_with_needs(harness: Harness) -> None:
    first, second = [harness.submit("one-at-a-time-on-gpu") for _ in range(2)]
    harness.store.announce("host-2-w", ("gpu",), ("default@gpu",), 600)
    assert harness.store.claim("host-1-w", "e1", ["default@gpu"])
    assert harness.store.claim("host-2-w", "e2", ["default@gpu"]) is None
    assert harness.client.find(second.job_id).pending_reason == "limited"

    harness.store.finish(first.job_id, "e1", "", Outcome(OutcomeKind.COMPLETED))
    claim = harness.store.claim("host-2-w", "e3", ["default@gpu"])
    assert claim
    assert claim.job_id == second.job_id
    harness.store.finish(second.job_id, "e3", "", Outcome(OutcomeKind.COMPLETED))


def test_a_scheduled_job_becomes_due_in_its_queue(harness: Harness) -> None:
    harness.start_workers(WORKER_CAN="gpu")
    job = harness.submit("on-gpu", options={"delay_seconds": 0.5})
    assert (job.pending_reason, job.needs) == ("scheduled", ["gpu"])
    assert harness.ended(job).result == "gpu"


def test_a_job_that_depends_on_another_waits_in_its_queue(harness: Harness) -> None:
    first = harness.submit("noop")
    job = harness.submit("on-gpu", options={"depends_on": (first.job_id,)})
    harness.start_workers(WORKER_CAN="gpu")
    assert harness.ended(job).status == "completed"


def test_a_queue_that_is_no_longer_used_is_forgotten(harness: Harness) -> None:
    job = harness.submit("on-gpu")
    claim = harness.store.claim("host-1-w", "e1", ["default@gpu"])
    assert claim
    harness.store.finish(job.job_id, "e1", "", Outcome(OutcomeKind.COMPLETED))
    assert harness.store.sweep() == 0
    assert "default@gpu" in harness.store.queues()

    connection: Any = harness.connection
    connection.delete(*connection.keys(f"*{job.job_id}*"))
    for member in connection.zrange("wh:expiry", 0, -1):
        connection.zadd("wh:expiry", {member: 1.0})
    assert harness.store.sweep() == 1
    assert "default@gpu" in harness.store.queues()
    a_minute_passes(harness)
    harness.store.sweep()
    assert "default@gpu" not in harness.store.queues()
    assert not connection.keys("*@gpu*")
    assert not connection.exists("wh:unused")


def test_cancelled_jobs_leave_a_queue_that_no_worker_serves(harness: Harness) -> None:
    jobs = [harness.submit("on-gpu") for _ in range(4)]
    for job in (jobs[0], jobs[1], jobs[3]):
        harness.client.cancel(job.job_id)
    assert harness.store.sweep() == 2
    assert harness.connection.lrange("rq:queue:default@gpu", 0, 0) == [jobs[2].job_id.encode()]
    assert harness.client.find(jobs[2].job_id).queue_position == 1

    harness.client.cancel(jobs[2].job_id)
    harness.store.sweep()
    assert not any(each.no_worker for each in Metrics(harness.store).read().queues)


def test_a_job_of_plain_rq_stays_in_a_queue_that_no_worker_serves(harness: Harness) -> None:
    queue = rq.Queue("low", connection=harness.connection, serializer=JSONSerializer)
    job: Any = queue.enqueue("tests.jobs_for_tests.behaviours.noop")
    harness.store.sweep()
    assert harness.connection.lrange("rq:queue:low", 0, -1) == [job.id.encode()]


def test_a_paused_queue_is_not_forgotten(harness: Harness) -> None:
    harness.connection.sadd("rq:queues", "rq:queue:default@gpu")
    Control(harness.store).pause_queue("default@gpu", None, None, None)
    harness.store.sweep()
    assert "default@gpu" in harness.store.queues()
    Control(harness.store).resume_queue("default@gpu")
    harness.store.sweep()
    a_minute_passes(harness)
    harness.store.sweep()
    assert "default@gpu" not in harness.store.queues()


def test_a_queue_that_rq_has_listed_is_not_forgotten_before_its_first_job(harness: Harness) -> None:
    # RQ lists a queue, and pushes the job in a second step.
    harness.connection.sadd("rq:queues", "rq:queue:high@gpu")
    harness.store.sweep()
    harness.store.sweep()
    assert "high@gpu" in harness.store.queues()


def test_a_queue_that_is_used_again_is_no_longer_noted_as_unused(harness: Harness) -> None:
    harness.connection.sadd("rq:queues", "rq:queue:default@gpu")
    harness.store.sweep()
    assert harness.connection.exists("wh:unused")
    harness.submit("on-gpu")
    harness.store.sweep()
    assert not harness.connection.exists("wh:unused")


def test_a_plain_rq_job_in_a_queue_with_needs_runs_on_a_worker_that_meets_them(harness: Harness) -> None:
    harness.start_workers(WORKER_CAN="gpu")
    queue = rq.Queue("high@gpu", connection=harness.connection, serializer=JSONSerializer)
    enqueued: Any = queue.enqueue("tests.jobs_for_tests.needing.on_gpu")
    eventually(lambda: enqueued.get_status() == "finished", "it runs")
    found = harness.client.find(enqueued.id)
    assert (found.priority, found.needs) == ("high", ["gpu"])
