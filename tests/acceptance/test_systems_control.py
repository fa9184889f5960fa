"""What operators control, over HTTP: pauses, and which workers run which jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.engine.times import read_time
from tests.acceptance.instance import Instance
from tests.waiting import eventually


@pytest.fixture
def own_instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path, WORKERS="2")
    instance.start()
    yield instance
    instance.end()


def test_pauses_survive_a_power_cut_and_end_within_a_second(own_instance: Instance) -> None:
    alice, admin = own_instance.newcomer("alice"), own_instance.admin
    running = alice.running(alice.submit("sleep", {"seconds": 1.5}))
    assert admin.call("PUT", "/queues/high/pause", {"reason": "Deploying"})["paused"]["reason"] == "Deploying"
    assert admin.call("PUT", "/job-types/noop/pause")["paused"]["by"] == "admin"
    in_queue, of_type = alice.submit("echo", {"text": "x"}, "?priority=high"), alice.submit("noop", {})
    assert [job["pending_reason"] for job in (in_queue, of_type)] == ["paused", "paused"]
    assert alice.ended(running)["status"] == "completed"
    assert alice.run("echo", text="not paused") == ["not paused"]

    own_instance.kill()
    own_instance.start()
    alice, admin = own_instance.signed_in("alice"), own_instance.admin
    assert alice.run("echo", text="not paused") == ["not paused"]
    assert [alice.find(job)["pending_reason"] for job in (in_queue, of_type)] == ["paused", "paused"]
    assert {queue["name"] for queue in admin.get("/queues")["queues"] if queue["paused"]} == {"high"}
    assert alice.get("/job-types/noop")["paused"]["reason"] is None

    for path, job in (("/queues/high/pause", in_queue), ("/job-types/noop/pause", of_type)):
        resumed_at = datetime.now(UTC)
        assert admin.delete(path)["paused"] is None
        assert read_time(alice.ended(job)["started_at"]) - resumed_at < timedelta(seconds=1)
    recorded = [entry["action"] for entry in admin.get("/audit", params={"user_id": "admin"})["entries"]]
    acts = [action for action in recorded if action.startswith(("pause-", "resume-"))]
    assert acts == ["resume-job-type", "resume-queue", "pause-job-type", "pause-queue"]


def test_a_job_waits_until_an_instance_has_a_worker_that_can_run_it(own_instance: Instance) -> None:
    alice = own_instance.newcomer("alice")
    job = alice.submit("on-gpu", {})
    assert (job["priority"], job["needs"]) == ("default", ["gpu"])
    eventually(lambda: alice.find(job)["pending_reason"] == "no_worker", "it says that it waits for a worker")
    assert 'workhorse_queue_no_worker{queue="default@gpu"} 1.0' in own_instance.admin.http.get("../../metrics").text

    own_instance.end()
    able = Instance(own_instance.home, WORKER_CAN="large,gpu")
    able.start()
    try:
        assert able.signed_in("alice").ended(job)["result"] == "large,gpu"
        assert {tuple(worker["can"]) for worker in able.admin.get("/workers")["workers"]} == {("gpu", "large")}
    finally:
        able.end()
