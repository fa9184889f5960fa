"""A job may take what the setting allows, and no more."""

from __future__ import annotations

from tests.integration.harness import Harness


def test_a_job_over_its_memory_limit_fails_and_its_worker_continues(harness: Harness) -> None:
    harness.start_workers(MAX_JOB_MEMORY_BYTES="250000000")
    (worker,) = harness.worker_pids()

    job = harness.run("eat-memory", megabytes=400)

    assert (job.status, job.error_type) == ("failed", "memory_limit")
    assert harness.run("noop").status == "completed"
    assert harness.worker_pids() == [worker]
