"""Cancellation, limits, deploys and kills act on a reused process as on any other, and on one attempt only."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from jobs.engine.client.job import Job
from tests.integration.harness import Harness, alive
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("cleared")


def warm(harness: Harness) -> int:
    """Return the id of a process that has served an attempt and waits for the next one."""
    return int(harness.run("wait-to-be-ended", seconds=0).result)


def started(harness: Harness, path: Path, seconds: float = 60, ignores_cancel: bool = False) -> tuple[Job, int]:
    """Start a job. Return it with the id of its process."""
    job = harness.submit("wait-to-be-ended", path=str(path), seconds=seconds, ignores_cancel=ignores_cancel)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")
    return harness.running(job), int(path.read_text())


def kill(process: int) -> None:
    """Kill a process, and wait until it is dead."""
    os.kill(process, signal.SIGKILL)
    eventually(lambda: not alive(process), "the process is dead")


def until(moment: float) -> None:
    """Wait until a time, in seconds since 1970."""
    eventually(lambda: time.time() > moment, "the moment comes")


@pytest.mark.parametrize("ignores_cancel", [False, True])
def test_a_cancelled_attempt_ends_with_its_reused_process(
    harness: Harness, tmp_path: Path, ignores_cancel: bool
) -> None:
    harness.start_workers()
    process = warm(harness)
    job, running = started(harness, tmp_path / "pid", ignores_cancel=ignores_cancel)

    harness.client.cancel(job.job_id)

    assert running == process
    assert harness.ended(job, timeout=6).status == "cancelled"
    eventually(lambda: not alive(process), "the process ends", timeout=10)
    assert warm(harness) != process


def test_a_cancellation_that_comes_too_late_stops_no_other_job(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    for number in range(5):
        path = tmp_path / str(number)
        job, _process = started(harness, path, seconds=1.0)
        following = harness.submit("wait-to-be-ended", seconds=0.2)
        assert job.started_at
        until(job.started_at.timestamp() + 0.95)
        harness.client.cancel(job.job_id)

        assert harness.ended(job).status in ("completed", "cancelled")
        assert harness.ended(following).status == "completed"


def test_a_waiting_process_that_is_killed_costs_no_job_anything(harness: Harness) -> None:
    harness.start_workers()
    for _ in range(3):
        process = warm(harness)
        kill(process)
        job = harness.run("wait-to-be-ended", seconds=0)

        assert (job.status, job.attempt, job.resumed) == ("completed", 1, 0)
        assert job.result != process


def test_a_job_whose_reused_process_is_killed_runs_again(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    warm(harness)
    path = tmp_path / "pid"
    job, process = started(harness, path, seconds=1)

    os.kill(process, signal.SIGKILL)
    again = harness.ended(job)

    assert (again.status, again.attempt, again.resumed) == ("completed", 1, 1)
    assert again.result != process


@pytest.mark.parametrize("busy", [False, True])
def test_a_reused_process_dies_with_its_worker(harness: Harness, tmp_path: Path, busy: bool) -> None:
    harness.start_workers()
    process = warm(harness)
    job = started(harness, tmp_path / "pid", seconds=0.5)[0] if busy else None
    (worker,) = harness.worker_pids()

    os.kill(worker, signal.SIGKILL)

    eventually(lambda: not alive(process), "the process dies too", timeout=5)
    if job is not None:
        again = harness.ended(job)
        assert (again.status, again.attempt, again.resumed) == ("completed", 1, 1)
    assert warm(harness) != process


def test_a_deploy_puts_back_the_job_of_a_reused_process(harness: Harness, tmp_path: Path) -> None:
    workers = harness.start_workers()
    process = warm(harness)
    job, running = started(harness, tmp_path / "pid")

    harness.signal_everyone(workers, signal.SIGTERM)

    assert workers.wait(timeout=9) == 0
    assert running == process and not alive(process)
    put_back = harness.client.find(job.job_id)
    assert (put_back.status, put_back.attempt, put_back.resumed) == ("pending", 1, 1)


def test_a_deploy_lets_a_short_attempt_finish_and_ends_a_waiting_process(harness: Harness, tmp_path: Path) -> None:
    workers = harness.start_workers()
    process = warm(harness)
    other = int(harness.run("tamper").result["pid"])
    job, _process = started(harness, tmp_path / "pid", seconds=1)

    harness.signal_everyone(workers, signal.SIGTERM)

    assert workers.wait(timeout=8) == 0
    assert harness.client.find(job.job_id).status == "completed"
    assert not alive(process) and not alive(other)


def test_an_attempt_over_the_memory_limit_fails_alone(harness: Harness) -> None:
    harness.start_workers(MAX_JOB_MEMORY_BYTES="400000000")
    process = harness.run("eat", megabytes=30).result

    over = harness.run("eat", megabytes=500)
    following = harness.run("eat", megabytes=30)

    assert (over.status, over.error_type) == ("failed", "memory_limit")
    assert following.status == "completed"
    assert following.result != process


def test_what_an_attempt_leaves_in_memory_is_not_charged_to_the_next(harness: Harness) -> None:
    harness.start_workers(MAX_JOB_MEMORY_BYTES="300000000")
    first = harness.run("eat", megabytes=100, keep=True)

    # With what the first one left, this is over the limit.
    second = harness.run("eat", megabytes=180)

    assert (first.status, second.status) == ("completed", "completed")
    assert first.result == second.result


def test_a_process_in_which_too_much_memory_is_left_is_retired(harness: Harness) -> None:
    harness.start_workers(MAX_JOB_MEMORY_BYTES="300000000")
    first = harness.run("eat", megabytes=180, keep=True).result

    assert harness.run("eat", megabytes=10).result != first


def test_a_worker_keeps_two_processes_at_most(harness: Harness) -> None:
    harness.start_workers()
    processes = [
        warm(harness),
        harness.run("tamper").result["pid"],
        harness.run("speak", text="one").result[0],
    ]

    eventually(lambda: not alive(processes[0]), "the first one gives way")
    assert warm(harness) != processes[0]
    assert harness.run("speak", text="two").result[0] == processes[2]
