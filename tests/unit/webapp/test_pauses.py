"""Administrators pause and resume queues and job types: over HTTP, on the command line and on the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.engine.operate.control import Control
from tests.unit.webapp.command import Command
from tests.waiting import eventually

HIGH, NOOP = "/api/v1/queues/high/pause", "/api/v1/job-types/noop/pause"
LATER = "2100-01-31T12:00:00Z"


@pytest.fixture
def run(app) -> Command:
    return Command(app)


def paused(person, path: str):
    found = person.get(path.removesuffix("/pause") if "job-types" in path else "/api/v1/queues").get_json()
    return found["paused"] if "paused" in found else {each["name"]: each["paused"] for each in found["queues"]}["high"]


def audited(services) -> list[tuple[str, str | None, str | None]]:
    return [(each.act.action, each.act.user_id, each.act.subject) for each in services.audit.page().entries]


@pytest.mark.parametrize("path", [HIGH, NOOP])
def test_a_pause_is_put_shown_and_deleted(admin, path):
    assert paused(admin, path) is None
    answer = admin("PUT", path, json={"reason": " Disk full ", "until": LATER})
    shown = answer.get_json()["paused"]
    assert (answer.status_code, shown["by"], shown["reason"]) == (200, "admin", "Disk full")
    assert shown["until"] == "2100-01-31T12:00:00.000000Z"
    assert shown == paused(admin, path)

    answer = admin.delete(path)
    assert (answer.status_code, answer.get_json()["paused"], paused(admin, path)) == (200, None, None)


@pytest.mark.parametrize("path", [HIGH, NOOP])
def test_a_pause_needs_no_body_and_a_repeat_changes_nothing(admin, path):
    first = admin("PUT", path).get_json()["paused"]
    assert (first["reason"], first["until"]) == (None, None)
    assert admin("PUT", path, json={}).get_json()["paused"] == first
    changed = admin("PUT", path, json={"reason": "Deploying"}).get_json()["paused"]
    assert (changed["reason"], changed["at"] > first["at"]) == ("Deploying", True)
    assert [admin.delete(path).get_json()["paused"] for _ in range(2)] == [None, None]


@pytest.mark.parametrize("path", [HIGH, NOOP])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"until": "2020-01-31T12:00:00Z"}, "/until"),
        ({"until": "9999-01-31T12:00:00Z"}, "/until"),
        ({"until": "tomorrow"}, "/until"),
        ({"until": 4102444800}, "/until"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": 5}, "/reason"),
        ({"because": "x"}, "/because"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(admin, path, body, pointer):
    answer = admin("PUT", path, json=body)
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, pointer)
    assert paused(admin, path) is None


@pytest.mark.parametrize(
    "name", ["urgent", "emails", "high@gpu", "high@", "HIGH", "%00", "queue:high", "type:noop", "x" * 300]
)
def test_a_queue_that_does_not_exist_is_not_found(admin, services, name):
    services.client.store.connection.sadd("rq:queues", "rq:queue:emails")
    for method in ("PUT", "DELETE"):
        answer = admin(method, f"/api/v1/queues/{name}/pause")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "queue_not_found")


def test_a_job_type_that_does_not_exist_is_not_found(admin):
    assert [admin(method, "/api/v1/job-types/nothing/pause").status_code for method in ("PUT", "DELETE")] == [404, 404]


def test_a_job_type_whose_code_is_gone_is_resumed(admin, alice, services):
    Control(services.client.store).pause_job_type("gone", "admin", "Broken", None)
    path = "/api/v1/job-types/gone/pause"
    assert alice.delete(path).status_code == 403
    assert admin("PUT", path).status_code == 404
    answer = admin.delete(path)
    assert (answer.status_code, answer.get_json()) == (200, {"name": "gone", "paused": None})
    assert not services.client.store.connection.exists("wh:control")
    assert ("resume-job-type", "admin", "gone") in audited(services)
    assert admin.delete(path).status_code == 404


@pytest.mark.parametrize("path", [HIGH, NOOP, "/api/v1/queues/nothing/pause"])
def test_a_user_may_pause_nothing(alice, path):
    assert [alice(method, path).status_code for method in ("PUT", "DELETE")] == [403, 403]


def test_a_user_sees_that_a_job_type_is_paused(admin, alice):
    admin("PUT", NOOP, json={"reason": "The disk is full"})
    assert alice.get("/api/v1/job-types/noop").get_json()["paused"]["reason"] == "The disk is full"
    listed = alice.get("/api/v1/job-types").get_json()["job_types"]
    assert [each["name"] for each in listed if each["paused"]] == ["noop"]


def test_the_pause_of_a_priority_is_that_of_its_queues_with_needs(admin, alice):
    alice.submits("on-gpu")
    admin("PUT", "/api/v1/queues/default/pause", json={"reason": "all"})
    admin("PUT", "/api/v1/queues/default@gpu/pause", json={"reason": "one"})
    assert reasons(admin) == {"high": None, "default@gpu": "one", "default": "all", "low": None}
    assert admin.delete("/api/v1/queues/default@gpu/pause").get_json()["paused"]["reason"] == "all"
    admin.delete("/api/v1/queues/default/pause")
    assert set(reasons(admin).values()) == {None}


def test_a_queue_that_is_forgotten_while_it_is_resumed_is_shown_empty(admin, alice, services, monkeypatch):
    alice.submits("on-gpu")
    resume = Control.resume_queue

    def resume_and_forget(self: Control, name: str) -> None:
        resume(self, name)
        services.client.store.connection.srem("rq:queues", f"rq:queue:{name}")

    monkeypatch.setattr(Control, "resume_queue", resume_and_forget)
    answer = admin.delete("/api/v1/queues/default@gpu/pause")
    empty = {"name": "default@gpu", "depth": 0, "oldest_wait_seconds": 0, "running": 0, "paused": None}
    assert (answer.status_code, answer.get_json()) == (200, empty)
    assert admin.delete("/api/v1/queues/default@gpu/pause").status_code == 404


def reasons(admin) -> dict[str, str | None]:
    queues = admin.get("/api/v1/queues").get_json()["queues"]
    return {queue["name"]: queue["paused"] and queue["paused"]["reason"] for queue in queues}


def test_a_pause_whose_time_has_passed_is_over(admin):
    until = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    assert admin("PUT", HIGH, json={"until": until}).get_json()["paused"]
    eventually(lambda: paused(admin, HIGH) is None, "the pause ends")


def test_pauses_are_audited(admin, services):
    admin("PUT", HIGH)
    admin.delete(HIGH)
    admin("PUT", NOOP)
    admin.delete(NOOP)
    acts = ["pause-queue", "resume-queue", "pause-job-type", "resume-job-type"]
    subjects = ["high", "high", "noop", "noop"]
    assert audited(services)[:4] == [(act, "admin", subject) for act, subject in zip(acts, subjects, strict=True)][::-1]


@pytest.mark.parametrize("malformed", ["{", "[]", '{"at": 5}', '{"at": "x", "by": 1, "reason": 2, "until": 3}'])
def test_a_malformed_pause_is_skipped(admin, services, malformed):
    fields = {"queue:high": malformed, "type:noop": malformed, "x": "y"}
    services.client.store.connection.hset("wh:control", mapping=fields)
    assert paused(admin, HIGH) is None
    assert paused(admin, NOOP) is None


# --- the command line ------------------------------------------------------------------


def test_the_command_line_pauses_and_resumes(run, admin, services):
    done = run("jobs", "pause", "queue", "high", "--reason", "Deploying", "--until", LATER)
    assert (done.code, done.out) == (0, "Paused until 2100-01-31T12:00:00.000000Z: high\n")
    assert paused(admin, HIGH)["by"] is None
    assert "high" in run("jobs", "queues").out
    shown = run("jobs", "pause", "type", "noop", "--json").json
    assert (shown["name"], shown["paused"]["reason"]) == ("noop", None)
    assert run("jobs", "resume", "queue", "high").out == "Not paused: high\n"
    assert run("jobs", "resume", "type", "noop", "--json").json["paused"] is None
    acts = ["pause-queue", "pause-job-type", "resume-queue", "resume-job-type"]
    assert [act for act, _, _ in audited(services)][:4] == acts[::-1]


def test_the_command_line_resumes_a_job_type_whose_code_is_gone(run, services):
    Control(services.client.store).pause_job_type("gone", None, None, None)
    assert run("jobs", "resume", "type", "gone").out == "Not paused: gone\n"
    assert not services.client.store.connection.exists("wh:control")
    assert run("jobs", "resume", "type", "gone").code == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("queue", "nothing"), 4, "no queue 'nothing'"),
        (("type", "nothing"), 4, "job type 'nothing' does not exist"),
        (("schedule", "x"), 2, "is not one of 'queue', 'type'"),
        (("queue", "high", "--until", "2020-01-31T12:00:00Z"), 2, "expected a later"),
        (("queue", "high", "--until", "tomorrow"), 2, "is not a time"),
        (("queue", "high", "--reason", "x" * 501), 2, "at most 500"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(run, words, code, said):
    refused = run("jobs", "pause", *words)
    assert (refused.code, said in refused.err) == (code, True), refused.err
