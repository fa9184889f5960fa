"""A job is resumed when its worker, zygote, supervisor or broker is killed, and put back by a deploy."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from jobs.engine.client.job import Job
from tests.integration.harness import Harness, alive
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("cleared")


def started(harness: Harness, path: Path, seconds: float = 60) -> tuple[Job, int]:
    """Start a job. Return it with the process id of its horse."""
    job = harness.submit("write-pid-and-sleep", path=str(path), seconds=seconds)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")
    return harness.running(job), int(path.read_text())


def test_a_job_whose_worker_is_killed_runs_again_before_its_lease_ends(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    job, horse = started(harness, tmp_path / "pid")
    (worker,) = harness.worker_pids()
    (tmp_path / "pid").unlink()

    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: not alive(horse), "its horse dies too", timeout=5)
    again = harness.until(job, lambda now: now.status == "running" and now.resumed == 1, timeout=8)

    assert time.monotonic() - killed < 5  # its lease ends after 6 to 8 seconds
    assert again.attempt == 1


def test_a_job_whose_zygote_is_killed_runs_again_before_its_lease_ends(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    job, horse = started(harness, tmp_path / "pid")
    zygote = int(Path(f"/proc/{horse}/stat").read_text().rsplit(")", 1)[1].split()[1])

    os.kill(zygote, signal.SIGKILL)
    killed = time.monotonic()
    again = harness.until(job, lambda now: now.status == "running" and now.resumed == 1, timeout=8)

    assert time.monotonic() - killed < 5  # its lease ends after 6 to 8 seconds
    assert not alive(horse)
    assert again.attempt == 1


def test_a_worker_that_starts_while_the_broker_hangs_waits_for_it(harness: Harness, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert harness.broker.pid
    os.kill(harness.broker.pid, signal.SIGSTOP)
    workers = harness.launch_workers(log=log)
    eventually(lambda: log.read_text().count("WARNING") >= 4, "the worker and the scheduler have both tried twice")
    os.kill(harness.broker.pid, signal.SIGCONT)

    assert harness.run("noop").status == "completed"
    assert workers.poll() is None


@pytest.mark.slow
def test_killing_the_supervisor_ends_its_processes_and_another_host_resumes_the_job(
    harness: Harness, tmp_path: Path
) -> None:
    supervisor = harness.start_workers()
    job, horse = started(harness, tmp_path / "pid")
    (worker,) = harness.worker_pids()
    harness.start_workers()

    supervisor.kill()
    killed = time.monotonic()
    eventually(lambda: not alive(horse) and not alive(worker), "its processes die too", timeout=5)
    again = harness.until(job, lambda now: now.status == "running" and now.resumed == 1)

    assert time.monotonic() - killed < 15 + ALLOWANCE_SECONDS
    assert [str(event["type"]) for event in harness.client.events(again.job_id)].count("job_resumed") == 1


def test_a_deploy_lets_a_short_job_finish(harness: Harness, tmp_path: Path) -> None:
    workers = harness.start_workers()
    job, _horse = started(harness, tmp_path / "pid", seconds=1.5)

    harness.signal_everyone(workers, signal.SIGTERM)

    assert workers.wait(timeout=8) == 0
    assert harness.client.find(job.job_id).status == "completed"


def test_a_deploy_puts_a_long_job_back_at_the_head_of_its_queue_and_spends_no_attempt(
    harness: Harness, tmp_path: Path
) -> None:
    workers = harness.start_workers()
    job, horse = started(harness, tmp_path / "pid")
    behind = harness.submit("noop")
    began = time.monotonic()

    harness.signal_everyone(workers, signal.SIGTERM)
    harness.until_signals_are_received(workers)
    harness.signal_everyone(workers, signal.SIGTERM)

    assert workers.wait(timeout=9) == 0
    assert time.monotonic() - began < harness.settings.shutdown_grace
    assert not alive(horse)
    put_back = harness.client.find(job.job_id)
    assert (put_back.status, put_back.attempt, put_back.resumed) == ("pending", 1, 1)
    assert put_back.queue_position == 1
    assert harness.client.find(behind.job_id).queue_position == 2


def test_an_idle_worker_stops_at_once(harness: Harness) -> None:
    workers = harness.start_workers()

    workers.terminate()

    assert workers.wait(timeout=3) == 0
    assert harness.connection.scard("rq:workers") == 0


def test_a_worker_survives_an_outage_of_the_broker_and_saves_its_result(harness: Harness, tmp_path: Path) -> None:
    workers = harness.start_workers()
    job, _horse = started(harness, tmp_path / "pid", seconds=2)

    assert harness.broker.pid
    os.kill(harness.broker.pid, signal.SIGKILL)

    ended = harness.ended_after_outage(job)
    assert (ended.status, ended.attempt, ended.resumed) == ("completed", 1, 0)
    assert workers.poll() is None


@pytest.mark.slow
def test_a_job_continues_while_the_broker_hangs(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    job, _horse = started(harness, tmp_path / "pid", seconds=3)

    assert harness.broker.pid
    os.kill(harness.broker.pid, signal.SIGSTOP)
    harness.until_leases_have_expired(since=time.time())
    os.kill(harness.broker.pid, signal.SIGCONT)

    ended = harness.ended_after_outage(job)
    assert (ended.status, ended.attempt, ended.resumed) == ("completed", 1, 0)
