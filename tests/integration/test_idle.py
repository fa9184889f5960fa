"""An idle system asks the broker for little, and still notices at once what there is to do."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rq
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from jobs.engine.broker.store.claims import ForeignClaim
from jobs.engine.operate.control import Control
from jobs.engine.operate.workers import workers
from tests.integration.harness import Harness
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("cleared")


def enqueue_with_plain_rq(harness: Harness, queue: str = "default") -> Any:
    return rq.Queue(queue, connection=harness.connection, serializer=JSONSerializer).enqueue(
        "tests.jobs_for_tests.behaviours.noop"
    )


def rings(harness: Harness, name: str = "default") -> int:
    return int(harness.connection.llen(f"wh:doorbell:{name}"))


def calls(harness: Harness, command: str) -> int:
    return int(harness.connection.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def voluntary_switches(pid: int) -> int:
    """Return how often a process has gone to sleep."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def until_idle(harness: Harness) -> None:
    """Wait until the workers have made their checks and wait for a doorbell."""
    begun = calls(harness, "blpop")
    eventually(lambda: calls(harness, "blpop") >= begun + 2, "the worker waits")


def test_each_idle_worker_asks_a_few_times_in_five_seconds(harness: Harness) -> None:
    harness.start_workers(WORKERS="4")
    until_idle(harness)
    steps, waits = calls(harness, "fcall"), calls(harness, "blpop")
    eventually(lambda: calls(harness, "blpop") >= waits + 20, "five seconds pass")
    # About 21 of the scheduler's, and 3 of each worker's.
    assert calls(harness, "fcall") - steps < 50


def test_the_supervisor_sleeps_until_something_happens(harness: Harness) -> None:
    process = harness.start_workers()
    until_idle(harness)
    wakes, waits = voluntary_switches(process.pid), calls(harness, "blpop")
    eventually(lambda: calls(harness, "blpop") >= waits + 3, "three seconds pass")
    assert voluntary_switches(process.pid) - wakes <= 3


def test_a_job_wakes_an_idle_worker_at_once(harness: Harness) -> None:
    harness.start_workers()
    until_idle(harness)
    job = harness.run("noop")
    assert job.started_at
    assert job.created_at
    assert job.started_at - job.created_at < timedelta(seconds=ALLOWANCE_SECONDS)


def test_a_job_of_plain_rq_wakes_an_idle_worker(harness: Harness) -> None:
    harness.start_workers()
    until_idle(harness)
    enqueued_at = time.monotonic()
    job = enqueue_with_plain_rq(harness)
    eventually(lambda: job.get_status() != "queued", "it starts")
    assert time.monotonic() - enqueued_at < ALLOWANCE_SECONDS


def test_a_job_whose_ring_is_lost_wakes_an_idle_worker(harness: Harness) -> None:
    job = harness.submit("noop")
    harness.connection.delete("wh:doorbell:default")
    harness.store.watch()
    assert rings(harness) == 1
    harness.start_workers()
    harness.ended(job)


def test_each_job_of_plain_rq_rings_once(harness: Harness) -> None:
    for _ in range(3):
        enqueue_with_plain_rq(harness)
    harness.store.watch()
    harness.store.watch()
    assert rings(harness) == 3
    assert rings(harness, "low") == 0


def test_jobs_in_a_paused_queue_do_not_ring(harness: Harness) -> None:
    control = Control(harness.store)
    control.pause_queue("default", None, None, None)
    enqueue_with_plain_rq(harness)
    harness.store.watch()
    assert rings(harness) == 0
    control.resume_queue("default")
    assert rings(harness) == 1


def test_jobs_ring_once_rq_s_tools_have_resumed_the_workers(harness: Harness) -> None:
    suspend(harness.connection)
    enqueue_with_plain_rq(harness)
    harness.store.watch()
    assert rings(harness) == 0
    resume(harness.connection)
    harness.store.watch()
    assert rings(harness) == 1


def test_a_drain_wakes_its_worker(harness: Harness) -> None:
    process = harness.start_workers()
    until_idle(harness)
    (worker,) = workers(harness.store)
    asked_at = time.monotonic()
    assert harness.store.drain(worker.name, draining=True)
    eventually(lambda: not harness.connection.exists("rq:workers"), "the worker ends")
    assert time.monotonic() - asked_at < ALLOWANCE_SECONDS
    eventually(lambda: process.poll() == 0, "worker.py ends")


def test_a_draining_worker_claims_nothing(harness: Harness) -> None:
    harness.connection.hset("rq:worker:host-1-w", mapping={"state": "idle", "birth": "x"})
    assert harness.store.drain("host-1-w", draining=True)
    enqueue_with_plain_rq(harness)
    assert harness.store.claim("host-1-w", "e1", ["default"]) is None
    assert harness.store.drain("host-1-w", draining=False)
    assert isinstance(harness.store.claim("host-1-w", "e1", ["default"]), ForeignClaim)


def test_the_doorbell_of_a_worker_that_does_not_listen_expires(harness: Harness) -> None:
    harness.connection.hset("rq:worker:host-1-w", mapping={"state": "idle", "birth": "x"})
    harness.store.drain("host-1-w", draining=True)
    assert 0 < harness.connection.ttl("wh:doorbell:host-1-w") <= 60


def test_the_scheduler_looks_once_for_all_its_work(harness: Harness) -> None:
    assert harness.store.watch() == set()
    harness.submit("noop", options={"delay_seconds": 60})
    assert harness.store.watch() == set()
    harness.connection.zadd("rq:scheduled:default", {"a": 1})
    harness.connection.zadd("wh:start_by", {"a": 1})
    harness.connection.zadd("wh:leases", {"a": 1})
    harness.connection.zadd("wh:room", {"a": 1})
    harness.connection.zadd("wh:schedules", {"a": 1})
    harness.connection.sadd("wh:limited", "a")
    harness.connection.lpush("wh:outbox", "a")
    chores = {"promote", "end_late", "recover", "use_room", "make_room", "run_schedules", "empty_outbox"}
    assert harness.store.watch() == chores


def test_a_key_of_another_type_is_left_to_its_chore(harness: Harness) -> None:
    harness.connection.set("wh:leases", "x")
    assert harness.store.watch() == {"recover"}
