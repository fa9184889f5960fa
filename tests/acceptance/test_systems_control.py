"""What operators control, over HTTP: pauses, and which workers run which jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psutil
import pytest

from jobs.engine.times import read_time
from tests.acceptance.instance import Api, Instance, end_now
from tests.waiting import ALLOWANCE_SECONDS, eventually


@pytest.fixture
def own_instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path, WORKERS="2")
    instance.start()
    yield instance
    instance.end()


def test_pauses_survive_a_power_cut_and_end_within_a_second(own_instance: Instance, tmp_path: Path) -> None:
    alice, admin = own_instance.newcomer("alice"), own_instance.admin
    running = alice.running(alice.submit("wait-for-file", {"path": str(tmp_path / "go")}))
    assert admin.call("PUT", "/queues/high/pause", {"reason": "Deploying"})["paused"]["reason"] == "Deploying"
    assert admin.call("PUT", "/job-types/noop/pause")["paused"]["by"] == "admin"
    in_queue, of_type = alice.submit("echo", {"text": "x"}, "?priority=high"), alice.submit("noop", {})
    assert [job["pending_reason"] for job in (in_queue, of_type)] == ["paused", "paused"]
    (tmp_path / "go").touch()
    assert alice.ended(running)["status"] == "completed"
    assert alice.run("echo", text="not paused") == ["not paused"]
    eventually(lambda: len(acts_of(admin)) == 2, "the pauses are recorded")

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
        assert read_time(alice.ended(job)["started_at"]) - resumed_at < timedelta(seconds=1 + ALLOWANCE_SECONDS)
    eventually(lambda: len(acts_of(admin)) == 4, "all is recorded")
    assert acts_of(admin) == ["resume-job-type", "resume-queue", "pause-job-type", "pause-queue"]


def acts_of(admin: Api) -> list[str]:
    """Return the pauses and resumes in the audit log, which is written within a quarter of a second."""
    recorded = [entry["action"] for entry in admin.get("/audit", params={"user_id": "admin"})["entries"]]
    return [action for action in recorded if action.startswith(("pause-", "resume-"))]


def test_each_failed_job_is_retried_once_although_the_web_process_is_killed(tmp_path: Path) -> None:
    instance = Instance(tmp_path, MAX_ACTIVE_JOBS_PER_USER="5000")
    instance.start()
    try:
        alice = instance.newcomer("alice")
        others = [{"job_type": "noop", "params": {}, "delay": 86_400}] * 900
        alice.post("/batches", {"jobs": others}, status=202)
        failing = [{"job_type": "fail", "params": {"message": "the disk is full"}}] * 100
        ids = alice.post("/batches", {"jobs": failing}, status=202)["job_ids"]
        eventually(lambda: alice.get("/users/me")["usage"]["jobs"]["failed"] == 100, "the jobs have failed")

        bulk = alice.post("/jobs/bulk", {"action": "retry", "filter": {"error": "disk full"}}, status=202)
        kill_web_workers(instance)
        eventually(lambda: answers(alice, f"/jobs/{bulk['job_id']}"), "the web process is back")
        assert alice.ended(bulk)["result"] == {"matched": 100, "done": 100, "skipped": 0}
        eventually(lambda: alice.get("/users/me")["usage"]["jobs"]["failed"] == 100, "they have failed again")
        assert {alice.events({"job_id": job_id}).count("job_started") for job_id in ids} == {2}
    finally:
        instance.end()


def kill_web_workers(instance: Instance) -> None:
    web = [each for each in instance.processes if is_web(each)]
    workers = [each for each in web if each.ppid() in {parent.pid for parent in web}]
    assert workers
    for each in workers:
        end_now(each)


def is_web(process: psutil.Process) -> bool:
    try:
        return any("gunicorn" in word for word in process.cmdline())
    except psutil.NoSuchProcess:  # the process of a job that has ended, perhaps a zombie
        return False


def answers(alice: Api, path: str) -> bool:
    try:
        return alice.http.get(path).status_code == 200
    except httpx2.TransportError:
        return False


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
