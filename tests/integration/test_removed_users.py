"""The removal of a user leaves nothing of their jobs in the broker, even of those that run at that moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.client.client import Client
from jobs.engine.client.pipelines import Step, submit_pipeline
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import Harness, alive
from tests.integration.host import Host
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("examined")

SECRET = "what-alice-wrote"


@pytest.fixture
def host(harness: Harness) -> Host:
    return Host(harness)


def running(harness: Harness, host: Host, **options: Any) -> Claim:
    """Return a job that runs, and that has written everything that a job can write."""
    harness.submit("echo", text=SECRET, options=options)
    claim = host.claims()
    progress = {"progress": 1, "progress_message": SECRET}
    assert host.store.report(
        claim.job_id, claim.execution, progress=progress, checkpoint=SECRET, positions=SECRET, lines=[SECRET]
    )
    return claim


def remove_alice(harness: Harness) -> None:
    harness.connection.delete("wh:user:alice")
    harness.client.delete_all("alice")


def content(connection: Any, key: bytes) -> str:
    read: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: connection.get(key),
        b"list": lambda: connection.lrange(key, 0, -1),
        b"set": lambda: connection.smembers(key),
        b"zset": lambda: connection.zrange(key, 0, -1),
        b"hash": lambda: connection.hgetall(key),
        b"stream": lambda: connection.xrange(key),
        b"none": lambda: "",
    }
    return f"{key!r}: {read[connection.type(key)]()!r}"


def traces(harness: Harness, *words: str) -> list[str]:
    """Return the keys whose name or content has one of these words, with their content."""
    read: Any = harness.connection.keys
    found = [content(harness.connection, key) for key in read("*")]
    return [each for each in found if any(word in each for word in words)]


OUTCOMES = [
    Outcome(OutcomeKind.CANCELLED),
    Outcome(OutcomeKind.COMPLETED, result=SECRET),
    Outcome(OutcomeKind.FAILED, error=SECRET, error_type="ValueError", trace=SECRET),
    Outcome(OutcomeKind.RETRYING, error=SECRET, error_type="ValueError", trace=SECRET, delay_seconds=1),
    after_death(0, Death("signal SIGKILL")),
    after_death(9, Death("signal SIGKILL")),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: str(outcome.kind))
def test_a_running_job_of_a_removed_user_is_deleted_when_its_execution_ends(
    harness: Harness, host: Host, outcome: Outcome
) -> None:
    claim = running(harness, host, webhook_url="https://hooks.invalid/x", tags=(SECRET,), unique_key=SECRET)
    remove_alice(harness)
    assert harness.client.find(claim.job_id).user_id is None

    host.finish(claim, outcome)

    assert traces(harness, claim.job_id, SECRET) == []
    assert not host.store.report(claim.job_id, claim.execution, checkpoint=SECRET, lines=[SECRET])
    assert host.finish(claim, outcome) is None
    assert traces(harness, claim.job_id, SECRET) == []


def test_a_running_job_of_a_removed_user_is_deleted_when_its_lease_ends(harness: Harness, host: Host) -> None:
    claim = running(harness, host)
    remove_alice(harness)
    member = f"{claim.job_id}:{claim.execution}"
    harness.connection.zadd("wh:leases", {member: 1})
    harness.connection.hset("wh:suspects", member, "1")

    Scheduler(harness.store).recover()

    assert traces(harness, claim.job_id, SECRET) == []


def test_a_removed_user_leaves_no_pipeline(harness: Harness, host: Host) -> None:
    echo = harness.catalogue.find("echo")
    pipeline, _ = submit_pipeline(harness.client, [Step(echo, {"text": SECRET})] * 2, "alice")
    claim = host.claims()
    remove_alice(harness)

    host.finish(claim)

    assert traces(harness, pipeline, claim.job_id, SECRET) == []


def test_a_job_that_waits_for_a_job_of_a_removed_user_still_sees_how_it_ended(harness: Harness, host: Host) -> None:
    claim = running(harness, host)
    waiting = harness.submit("noop", user_id="bob", options={"depends_on": (claim.job_id,), "admin": True})
    remove_alice(harness)

    host.finish(claim, Outcome(OutcomeKind.CANCELLED))

    assert harness.client.find(waiting.job_id).error_type == "dependency_failed"


class Late(Store):
    """Ends an execution with a retry when its user's running jobs are listed, after those that wait."""

    execution: Claim | None = None

    def indexed(self, user_id: str, status: str, at_most: int) -> list[str]:
        if status == "running" and self.execution:
            self.finish(self.execution.job_id, self.execution.execution, "", Outcome(OutcomeKind.RETRYING))
            self.execution = None
        return super().indexed(user_id, status, at_most)


def test_a_job_that_is_retried_during_the_removal_is_removed_too(harness: Harness, host: Host) -> None:
    store = Late(harness.connection)
    store.execution = claim = running(harness, host)
    client = Client(harness.connection, harness.settings, harness.catalogue)
    client.store = store
    harness.connection.delete("wh:user:alice")

    client.delete_all("alice")

    assert traces(harness, claim.job_id, SECRET) == []


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["worker", "horse", "nothing"])
def test_a_removed_user_leaves_nothing_even_if_a_process_is_killed(
    harness: Harness, tmp_path: Path, victim: str
) -> None:
    harness.start_workers()
    pid = tmp_path / "pid"
    job = harness.submit("write-pid-and-sleep", path=str(pid), seconds=60)
    horse = int(eventually(lambda: pid.exists() and pid.read_text(), "the job starts"))
    harness.running(job)

    remove_alice(harness)
    kill({"worker": harness.worker_pids(), "horse": [horse], "nothing": []}[victim])

    eventually(lambda: not traces(harness, job.job_id, str(pid)), "the job is gone")
    assert not alive(horse)
