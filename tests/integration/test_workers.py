"""Workers are listed and drained, and take only the priorities that they are for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.engine.operate.workers import WorkerRecord, workers
from tests.integration.harness import Harness, alive
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def empty(harness: Harness) -> Iterator[None]:
    yield
    harness.end_all()
    harness.forget_everything()


def listed(harness: Harness) -> list[WorkerRecord]:
    return workers(harness.store)


def only_worker(harness: Harness) -> WorkerRecord:
    # A worker is on the list once it has registered and has a state.
    eventually(lambda: listed(harness), "the worker is listed")
    (worker,) = listed(harness)
    return worker


def ends(process: subprocess.Popen[bytes]) -> int:
    eventually(lambda: process.poll() is not None, "worker.py ends")
    return process.wait()


def test_an_idle_worker_that_is_drained_ends_and_worker_py_with_it(harness: Harness) -> None:
    process = harness.start_workers()
    assert harness.store.drain(only_worker(harness).name, draining=True)
    assert ends(process) == 0
    assert listed(harness) == []


def test_a_busy_worker_that_is_drained_finishes_its_job_and_takes_no_other(harness: Harness, tmp_path: Path) -> None:
    process = harness.start_workers()
    running = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    waiting = harness.submit("noop")
    harness.store.drain(only_worker(harness).name, draining=True)
    (tmp_path / "end").touch()
    assert harness.ended(running).status == "completed"
    assert ends(process) == 0
    assert harness.client.find(waiting.job_id).status == "pending"


def test_a_drain_can_be_withdrawn_while_the_worker_is_busy(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    running = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    name = only_worker(harness).name
    harness.store.drain(name, draining=True)
    assert only_worker(harness).draining
    harness.store.drain(name, draining=False)
    (tmp_path / "end").touch()
    assert harness.ended(running).status == "completed"
    assert harness.run("noop").status == "completed"
    assert only_worker(harness).name == name


def test_a_worker_that_is_killed_while_it_drains_is_not_restarted(harness: Harness) -> None:
    process = harness.start_workers(WORKERS="2")
    job = harness.running(harness.submit("sleep", seconds=30))
    eventually(lambda: len(listed(harness)) == 2, "both workers are listed")
    busy, other = sorted(listed(harness), key=lambda worker: worker.job_id is None)
    harness.store.drain(busy.name, draining=True)
    eventually(lambda: b"draining" in (harness.connection.hkeys(f"rq:worker:{busy.name}")), "it is asked")
    taken = harness.submit("noop")
    harness.ended(taken)
    os.kill(int(busy.pid), signal.SIGKILL)
    eventually(lambda: not alive(int(busy.pid)), "it dies")
    again = harness.until(job, lambda now: now.status == "running" and now.resumed == 1)
    assert again.resumed == 1
    names = {worker.name for worker in listed(harness) if worker.job_id}
    assert names == {other.name}
    assert process.poll() is None


def test_a_drain_survives_a_restart_of_the_broker(harness: Harness, tmp_path: Path) -> None:
    process = harness.start_workers()
    running = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    harness.store.drain(only_worker(harness).name, draining=True)
    os.kill(harness.broker.pid or 0, signal.SIGKILL)
    (tmp_path / "end").touch()
    assert harness.ended_after_outage(running).status == "completed"
    assert ends(process) == 0


def test_a_worker_whose_record_has_expired_registers_again(harness: Harness) -> None:
    harness.start_workers()
    name = only_worker(harness).name
    harness.connection.delete(f"rq:worker:{name}", "rq:workers")
    assert only_worker(harness).name == name
    eventually(lambda: only_worker(harness).memory_bytes, "it notes its memory")
    assert harness.store.drain(name, draining=True)


def test_a_worker_that_does_not_exist_is_not_drained(harness: Harness) -> None:
    assert not harness.store.drain("nobody", draining=True)
    assert not harness.connection.exists("rq:worker:nobody")


def test_a_worker_notes_its_memory(harness: Harness) -> None:
    harness.start_workers()
    eventually(lambda: only_worker(harness).memory_bytes > 1_000_000, "it notes its memory")
    assert only_worker(harness).queues == ("high", "default", "low")


def test_a_worker_takes_only_the_priorities_that_it_is_for(harness: Harness) -> None:
    harness.start_workers(WORKER_QUEUES="default")
    other = harness.submit("noop", options={"priority": "high"})
    assert harness.run("noop").status == "completed"
    assert harness.client.find(other.job_id).status == "pending"
    assert only_worker(harness).queues == ("default",)
