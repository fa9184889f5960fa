"""The engine as a client sees it: states, limits, live updates, users, logs, restarts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.acceptance.instance import Api, Instance
from tests.waiting import eventually

MOVES = ["job_queued", "job_started", "job_progress", "job_completed"]


def test_a_job_is_submitted_polled_and_completed(alice: Api) -> None:
    job = alice.submit("report-slowly", {"steps": 4, "seconds": 0.2})
    assert job["poll_url"] == f"/api/v1/jobs/{job['job_id']}" and job["result"] is None
    seen = [job]
    while seen[-1]["status"] in ("pending", "running"):
        seen.append(alice.until(seen[-1], partial(is_newer, seen[-1]["version"])))
    assert [each["progress"] for each in seen] == sorted(each["progress"] for each in seen)
    assert any(0 < each["progress"] < 100 for each in seen)
    assert (seen[-1]["status"], seen[-1]["result"], seen[-1]["progress"]) == ("completed", 4, 100.0)
    assert seen[-1]["expires_at"] > seen[-1]["completed_at"]
    assert [kind for kind in MOVES if kind in alice.events(job)] == MOVES


def is_newer(version: int, job: dict[str, Any]) -> bool:
    return bool(job["version"] > version)


def test_clean_up_is_a_job_like_any_other(alice: Api) -> None:
    assert set(alice.run("clean-up")) == {"files", "drafts", "users"}


def test_a_temporary_error_is_retried_with_growing_delays(alice: Api, tmp_path: Path) -> None:
    marks = tmp_path / "tries"
    job = alice.ended(alice.submit("flaky", {"path": str(marks), "fails": 2}))
    assert (job["status"], job["attempt"], job["result"]) == ("completed", 3, 3)
    first, second, third = map(float, marks.read_text().split())
    assert third - second > second - first > 0.25
    fatal = alice.ended(alice.submit("fail-fatally", {}))
    assert (fatal["status"], fatal["attempt"], fatal["error_type"]) == ("failed", 1, "Fatal")


def test_a_job_over_its_timeout_fails_and_one_whose_process_dies_is_resumed(alice: Api) -> None:
    late = alice.submit("sleep-too-long", {})
    dying = alice.ended(alice.submit("die", {"times": 1}))
    assert (dying["status"], dying["result"], dying["attempt"]) == ("completed", "resumed 1", 1)
    late = alice.ended(late)
    assert (late["status"], late["error_type"]) == ("failed", "timeout")
    lost = alice.ended(alice.submit("die", {}))
    assert (lost["status"], lost["error_type"], lost["resumed"]) == ("failed", "worker_lost", 2)


def test_a_user_sees_and_cancels_only_their_own_jobs(alice: Api, instance: Instance) -> None:
    job = alice.running(alice.submit("sleep", {"seconds": 60}))
    mallory, place = instance.newcomer(), f"/jobs/{job['job_id']}"
    for method, path in (("GET", place), ("DELETE", place), ("POST", f"{place}/retry"), ("GET", f"{place}/logs")):
        mallory.call(method, path, status=403)
    Api(instance, "", "").get(place, status=401)
    assert job["job_id"] in [each["job_id"] for each in alice.get("/jobs")["jobs"]]
    assert job["job_id"] not in [each["job_id"] for each in mallory.get("/jobs")["jobs"]]
    assert alice.delete(place, status=202)["status"] == "running"
    assert alice.ended(alice.find(job))["status"] == "cancelled"
    alice.delete(place, status=409)


def test_all_jobs_of_an_error_are_retried_by_one_call_and_then_deleted(alice: Api) -> None:
    dry = [alice.ended(alice.submit("fail", {"message": "the well is dry"}, "?tag=bulk")) for _ in range(3)]
    wet = alice.ended(alice.submit("fail", {"message": "the well is wet"}, "?tag=bulk"))
    retry = {"action": "retry", "filter": {"status": "failed", "error": "dry", "tag": "bulk"}}
    done = alice.ended(alice.post("/jobs/bulk", retry, status=202))
    assert (done["job_type"], done["result"]) == ("bulk-action", {"matched": 3, "done": 3, "skipped": 0})
    again = [alice.ended(alice.find(job)) for job in dry]
    assert [alice.events(job).count("job_started") for job in [*again, wet]] == [2, 2, 2, 1]
    delete = {"action": "delete", "filter": {"status": "failed", "tag": "bulk"}}
    done = alice.ended(alice.post("/jobs/bulk", delete, status=202))
    assert done["result"] == {"matched": 4, "done": 4, "skipped": 0}
    assert alice.get("/jobs?tag=bulk")["jobs"] == []


def test_an_administrator_sees_queues_and_workers(alice: Api, instance: Instance) -> None:
    job = alice.running(alice.submit("sleep", {"seconds": 60}))
    queues = instance.admin.get("/queues")["queues"]
    assert [queue["name"] for queue in queues][:3] == ["high", "default", "low"]
    assert queues[1]["running"] >= 1
    (busy,) = [each for each in instance.admin.get("/workers")["workers"] if each["current_job_id"] == job["job_id"]]
    place = f"/workers/{busy['name']}/drain"
    assert instance.admin.call("PUT", place)["draining"] is True
    assert instance.admin.delete(place)["draining"] is False
    alice.call("PUT", place, status=403)
    alice.delete(f"/jobs/{job['job_id']}", status=202)


def test_updates_arrive_live_over_a_stream_and_over_a_websocket(alice: Api, instance: Instance) -> None:
    job = alice.submit("report-slowly", {"steps": 4, "seconds": 0.3})
    ticket = alice.post("/tickets", {"job_id": job["job_id"]})["ticket"]
    address = f"ws://127.0.0.1:{instance.port}/api/v1/jobs/{job['job_id']}/ws?ticket={ticket}"
    with connect(address, proxy=None) as socket:
        with alice.http.stream("GET", f"/jobs/{job['job_id']}/stream") as stream:
            sent = [line.removeprefix("data:") for line in stream.iter_lines() if line.startswith("data:")]
        received = [json.loads(each) for each in socket]
        assert socket.close_code == 1000
    streamed = [json.loads(each) for each in sent]
    assert received[-1]["event"] == "complete"
    for updates in (streamed, [message["job"] for message in received]):
        assert (updates[-1]["status"], updates[-1]["result"]) == ("completed", 4)
        versions = [each["version"] for each in updates]
        assert versions == sorted(set(versions)) and len(versions) >= 3


def test_actions_are_in_the_audit_log_and_requests_in_the_process_log(alice: Api, instance: Instance) -> None:
    job = alice.submit("noop", {})
    alice.get("/audit", status=403)

    def recorded() -> list[dict[str, Any]]:
        entries = instance.admin.get(f"/audit?user_id={alice.user_id}")["entries"]
        return entries if {"sign-in", "submit-job"} <= {entry["action"] for entry in entries} else []

    entries = eventually(recorded, "the actions are in the audit log")
    assert job["job_id"] in json.dumps(entries)
    eventually(lambda: f'"user_id":"{alice.user_id}"' in instance.printed, "the request is logged")


def test_jobs_over_a_user_s_limit_are_refused_and_other_users_are_not(alice: Api, instance: Instance) -> None:
    """MAX_ACTIVE_JOBS_PER_USER is 50 in this instance."""
    jobs = [{"job_type": "sleep", "params": {"seconds": 1}, "delay": 600}] * 48
    batch = alice.post("/batches", {"jobs": jobs}, status=202)
    alice.post("/batches", {"jobs": jobs[:3]}, status=429)
    instance.newcomer().submit("noop", {})
    assert alice.delete(f"/batches/{batch['batch_id']}")["counts"]["cancelled"] == 48


# --- restarts ------------------------------------------------------------------------------


@pytest.fixture
def own_instance(tmp_path: Path) -> Any:
    instance = Instance(tmp_path, WORKERS="1")
    instance.start()
    yield instance
    instance.end()


def test_after_a_power_cut_no_job_is_lost_and_priorities_are_kept(own_instance: Instance, tmp_path: Path) -> None:
    alice = own_instance.newcomer("alice")
    done = alice.ended(alice.submit("echo", {"text": "kept"}))
    steps = {"path": str(tmp_path / "steps"), "rows": 40, "columns": 10, "stop_at": [-1, -1]}
    running = alice.running(alice.submit("wait-for-file", {"path": str(tmp_path / "go")}))
    waiting = {
        queue: alice.submit("echo", {"text": queue}, f"?priority={queue}") for queue in ("low", "default", "high")
    }
    failing = alice.submit("walk", steps, "?priority=low")
    own_instance.kill()
    own_instance.start()
    (tmp_path / "go").touch()

    again = own_instance.signed_in("alice")
    assert again.find(done)["result"] == ["kept"]
    resumed = again.ended(again.find(running))
    assert (resumed["status"], resumed["resumed"], resumed["attempt"]) == ("completed", 1, 1)
    ended = {queue: again.ended(again.find(job)) for queue, job in waiting.items()}
    started = sorted(ended, key=lambda queue: ended[queue]["started_at"])
    assert started == ["high", "default", "low"]
    assert again.ended(again.find(failing))["status"] == "completed"
