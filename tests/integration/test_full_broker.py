"""The broker has no memory left, and then has again."""

from __future__ import annotations

import pytest

from jobs.engine.errors import BrokerUnavailable
from tests.integration.harness import Harness
from tests.waiting import eventually


def test_a_full_broker_refuses_new_jobs_and_stores_a_running_job_s_result_later(
    harness: Harness,
) -> None:
    harness.start_workers()
    job = harness.running(harness.submit("sleep", seconds=3))
    behind = harness.submit("noop")
    # Far below what it uses: that goes up and down with the buffers of its clients.
    used = harness.connection.info("memory")["used_memory"]
    harness.connection.config_set("maxmemory", int(used) // 2)

    with pytest.raises(BrokerUnavailable):
        harness.submit("noop")
    assert harness.client.find(job.job_id).status == "running"
    assert len(harness.client.page("alice").jobs) == 2
    # Longer than the job takes, and than a lease: nothing may be taken for dead, and nothing half written.
    assert not eventually_ends(harness, job.job_id, seconds=14)

    harness.connection.config_set("maxmemory", 0)
    ended = harness.ended(job, timeout=10)
    assert (ended.status, ended.result, ended.attempt, ended.resumed) == ("completed", 3.0, 1, 0)
    assert harness.ended(behind).status == "completed"
    assert harness.connection.zcard("wh:leases") == 0


def eventually_ends(harness: Harness, job_id: str, seconds: float) -> bool:
    try:
        eventually(lambda: harness.client.find(job_id).status.terminal, "it ends", timeout=seconds)
    except AssertionError:
        return False
    return True
