"""Workers whose clocks are an hour off: only the broker's clock and monotonic time matter."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import rq
from rq.job import Job
from rq.serializers import JSONSerializer

from bench.chaos.world import clock_off
from tests.integration.harness import Harness
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("cleared")

HOUR = 3_600
EITHER_WAY = pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["ahead", "behind"])


@pytest.mark.slow
def test_jobs_of_a_worker_with_a_wrong_clock_are_resumed_only_after_its_death(harness: Harness) -> None:
    skewed = [harness.start_workers(**clock_off(seconds)) for seconds in (HOUR, -HOUR)]
    jobs = [harness.submit("sleep", seconds=60) for _ in skewed]
    for job in jobs:
        harness.running(job)
    abandoned = harness.submit("noop")
    assert harness.store.claim("a worker that is gone", "an execution", ["default"])
    harness.start_workers(WORKERS="2")
    # The lease of this job is not prolonged. When it is resumed, every other lease of that age would have expired, too.
    harness.until(abandoned, lambda now: now.resumed == 1)
    assert [(job.status, job.resumed) for job in [harness.client.find(job.job_id) for job in jobs]] == [
        ("running", 0)
    ] * 2

    for workers in skewed:
        harness.end(workers)
    killed = time.monotonic()
    again = [harness.until(job, lambda now: now.status == "running" and now.resumed == 1) for job in jobs]

    assert time.monotonic() - killed < 15 + ALLOWANCE_SECONDS
    assert [job.attempt for job in again] == [1, 1]


def test_a_scheduler_with_a_wrong_clock_does_not_resume_a_live_job(harness: Harness) -> None:
    harness.start_workers()
    job = harness.submit("sleep", seconds=6)
    harness.running(job)
    for seconds in (HOUR, -HOUR):
        harness.start_workers(**clock_off(seconds))

    ended = harness.ended(job)
    assert (ended.status, ended.resumed, ended.attempt) == ("completed", 0, 1)


@EITHER_WAY
def test_a_wrong_clock_does_not_change_timeouts_delays_and_retries(
    harness: Harness, seconds: int, tmp_path: Path
) -> None:
    harness.start_workers(**clock_off(seconds))
    assert abs(float(harness.run("what-time-is-it").result) - time.time() - seconds) < HOUR / 2

    submitted = time.monotonic()
    delayed = harness.submit("echo", text="hi", options={"delay_seconds": 1.5})
    assert harness.ended(delayed).status == "completed"
    assert 1.4 < time.monotonic() - submitted < 60

    slow = harness.submit("sleep", seconds=60, options={"timeout": 2})
    harness.running(slow)
    begun = time.monotonic()
    assert harness.ended(slow).error_type == "timeout"
    assert 1 < time.monotonic() - begun < 60

    assert harness.ended(harness.submit("flaky", path=str(tmp_path / "tries"), fails=1)).status == "completed"


@pytest.mark.parametrize(("runs", "cleans"), [(0, HOUR), (-HOUR, 0)], ids=["behind the other", "behind all others"])
def test_a_job_of_plain_rq_is_not_failed_by_a_worker_whose_clock_is_ahead(
    harness: Harness, runs: int, cleans: int
) -> None:
    """rq stores until when a job is alive, by the clock of its worker."""
    queue = rq.Queue("default", connection=harness.connection, serializer=JSONSerializer)
    harness.start_workers(**clock_off(runs))
    job = queue.enqueue("tests.jobs_for_tests.behaviours.sleep", kwargs={"seconds": 3})
    until(job, "started")
    harness.start_workers(**clock_off(cleans))  # each starts with rq's maintenance
    until(job, "finished", "failed")
    assert job.get_status() == "finished"


def until(job: Job, *statuses: str) -> None:
    eventually(lambda: job.get_status(refresh=True) in statuses, " or ".join(statuses))
