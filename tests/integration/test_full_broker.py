"""The broker runs out of memory, and later has memory again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobs.engine.broker.store.leases import SUSPICION_SECONDS
from jobs.engine.errors import BrokerUnavailable
from tests.integration.harness import ROOT, Harness, alive
from tests.waiting import eventually


def fill(harness: Harness) -> None:
    """Limit the broker's memory far below its use, which changes with the buffers of its clients."""
    used = harness.connection.info("memory")["used_memory"]
    harness.connection.config_set("maxmemory", int(used) // 2)


@pytest.fixture(autouse=True)
def room_again(harness: Harness, cleared: None) -> Iterator[None]:
    """Lift the limit at the end of each test."""
    yield
    harness.connection.config_set("maxmemory", 0)


@pytest.fixture
def full_without_functions(harness: Harness) -> Harness:
    harness.connection.function_flush()
    fill(harness)
    return harness


def test_a_full_broker_refuses_new_jobs_and_stores_a_running_job_s_result_later(
    harness: Harness, tmp_path: Path
) -> None:
    harness.start_workers()
    path = tmp_path / "pid"
    job = harness.submit("note-pid-and-sleep", path=str(path), seconds=3)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")
    behind = harness.submit("noop")
    fill(harness)
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


def check(harness: Harness) -> subprocess.CompletedProcess[str]:
    """Run the release step."""
    flask = str(Path(sys.executable).with_name("flask"))
    return subprocess.run(
        [flask, "--app", "webapp", "jobs", "check"],
        cwd=ROOT,
        env=harness.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_release_step_fails_if_a_full_broker_can_not_load_the_functions_of_this_code(
    full_without_functions: Harness,
) -> None:
    done = check(full_without_functions)

    assert done.returncode == 1, done.stderr
    assert "Problem: The broker is full (" in done.stdout
    assert "Raise its maxmemory, or wait until ended jobs have expired." in done.stdout


def test_the_release_step_passes_if_a_full_broker_has_the_functions_already(harness: Harness) -> None:
    harness.submit("noop")
    fill(harness)

    done = check(harness)

    assert done.returncode == 0, done.stderr
    assert "Problem:" not in done.stdout


def test_an_error_says_that_a_full_broker_can_not_load_functions(full_without_functions: Harness) -> None:
    with pytest.raises(redis.exceptions.OutOfMemoryError, match="can't load the functions of this version"):
        full_without_functions.store.scripts.run("watch")
