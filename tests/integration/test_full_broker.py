"""The broker runs out of memory, and later has memory again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobs.engine.broker.store.leases import SUSPICION_SECONDS
from jobs.engine.errors import BrokerUnavailable
from tests.integration.harness import Harness, alive
from tests.waiting import eventually


def test_a_full_broker_refuses_new_jobs_and_stores_a_running_job_s_result_later(
    harness: Harness, tmp_path: Path
) -> None:
    harness.start_workers()
    path = tmp_path / "pid"
    job = harness.submit("note-pid-and-sleep", path=str(path), seconds=3)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")
    behind = harness.submit("noop")
    # Far below its use, which changes with the buffers of its clients.
    used = harness.connection.info("memory")["used_memory"]
    harness.connection.config_set("maxmemory", int(used) // 2)
    full_since = time.time()

    with pytest.raises(BrokerUnavailable):
        harness.submit("noop")
    assert harness.client.find(job.job_id).status == "running"
    assert len(harness.client.page("alice").jobs) == 2
    eventually(lambda: not alive(int(path.read_text())), "the function returns")
    # Later the lease would have expired, and a scheduler would have looked twice. The job must not be resumed.
    harness.until_leases_have_expired(since=full_since + 2 * SUSPICION_SECONDS)
    assert harness.client.find(job.job_id).status == "running"

    harness.connection.config_set("maxmemory", 0)
    ended = harness.ended(job)
    assert (ended.status, ended.attempt, ended.resumed) == ("completed", 1, 0)
    assert len(path.read_text().split()) == 1
    assert harness.ended(behind).status == "completed"
    assert harness.connection.zcard("wh:leases") == 0
