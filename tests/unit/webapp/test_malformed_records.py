"""Malformed records in the broker: they hide nothing else, and no request fails because of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.engine.accounts.credentials import fingerprint
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.webhooks.subscriptions import Subscriptions
from tests.unit.webapp.door import PASSWORD, Door

NOT_TEXT = b"\x80\x04\x95\xff"
DEEP = b"[" * 100_000
GARBAGE = [b"garbage", b"5", b"[]", b"null", NOT_TEXT, DEEP]

Plant = Callable[[Any, str], None]


class World(Door):
    """A user with two of everything, and browsers of the user and an admin."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.register()
        self.good, self.bad = self.submit(), self.submit()
        self.alice: FlaskClient = self.browser("alice").client
        self.admin: FlaskClient = self.browser("admin").client

    @property
    def job(self) -> str:
        return f"rq:job:{self.bad.job_id}"

    def status(self, path: str, *, admin: bool = False) -> int:
        client = self.admin if admin else self.alice
        return client.get(path, buffered=True).status_code

    def api(self, path: str, *, admin: bool = False) -> Any:
        client = self.admin if admin else self.alice
        answer = client.get(f"/api/v1{path}", buffered=True)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def listed_jobs(self, path: str = "/jobs") -> list[str]:
        return [each["job_id"] for each in self.api(path)["jobs"]]

    def dashboard(self, path: str) -> Any:
        answer = self.admin.get(f"/dashboard/{path}")
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def as_string(connection: Any, key: str) -> None:
    connection.delete(key)
    connection.set(key, "garbage")


def as_list(connection: Any, key: str) -> None:
    connection.delete(key)
    connection.rpush(key, "garbage")


def as_strange_hash(connection: Any, key: str) -> None:
    connection.delete(key)
    connection.hset(key, b"\xff", b"\xff")


another_type = pytest.mark.parametrize("plant", [as_string, as_list, as_strange_hash])
garbage = pytest.mark.parametrize("value", GARBAGE)


# --- jobs -------------------------------------------------------------------------------------


def assert_jobs_are_shown(world: World) -> None:
    assert world.good.job_id in world.listed_jobs()
    job_id = world.bad.job_id
    for path in ("/", "/jobs", "/api/v1/jobs?tag=x", "/api/v1/users/me"):
        assert world.status(path) == 200, path
    for path in (f"/jobs/{job_id}", *(f"/api/v1/jobs/{job_id}{more}" for more in ("", "/events", "/logs"))):
        assert world.status(path) in (200, 403, 404), path
    assert world.status("/overview", admin=True) == 200
    assert world.status("/metrics", admin=True) == 200
    rows = world.dashboard("0/data/jobs/default/queued/8/asc/1.json")["jobs"]
    assert world.good.job_id in [row["id"] for row in rows]
    for path in (f"0/view/job/{job_id}", f"0/data/job/{job_id}.json"):
        assert world.status(f"/dashboard/{path}", admin=True) in (200, 404), path


@another_type
def test_a_job_of_another_type_hides_no_other_job(world: World, plant: Plant) -> None:
    plant(world.connection, world.job)
    assert_jobs_are_shown(world)


@garbage
def test_a_job_with_malformed_fields_hides_no_other_job(world: World, value: bytes) -> None:
    names = ["data", "meta", "tags", "result", "number", "attempt", "due", "ready_at", "group", "dependency_ids"]
    times = ["created_at", "enqueued_at", "started_at", "ended_at"]
    ttls = ["timeout", "result_ttl", "failure_ttl"]
    for name in (*names, *times, *ttls, "status", "origin", "type", "description"):
        before = world.connection.hget(world.job, name)
        world.connection.hset(world.job, name, value)
        for path in ("/jobs", f"/jobs/{world.bad.job_id}", f"/dashboard/0/data/job/{world.bad.job_id}.json"):
            assert world.status(path, admin=path.startswith("/dash")) in (200, 404), (name, path)
        if before is not None:
            world.connection.hset(world.job, name, before)
        else:
            world.connection.hdel(world.job, name)
    world.connection.hset(world.job, mapping=dict.fromkeys([*names, *times, *ttls], value))
    assert_jobs_are_shown(world)


def test_progress_of_another_kind_is_left_out(world: World) -> None:
    meta = {"progress": "x", "progress_message": [], "progress_current": {}, "progress_total": True, "eta_seconds": "y"}
    world.connection.hset(world.job, mapping={"meta": json.dumps(meta), "status": "started"})
    shown = world.api(f"/jobs/{world.bad.job_id}")
    assert shown["progress"] == 0.0
    assert {shown[name] for name in ("progress_message", "progress_current", "progress_total")} == {None}
    assert_jobs_are_shown(world)


@another_type
@pytest.mark.parametrize(
    "key", ["wh:events:{}", "wh:logs:{}", "rq:results:{}", "wh:popped:default", "wh:jobs:alice:failed", "wh:rate:alice"]
)
def test_another_key_of_a_job_of_another_type_hides_nothing(world: World, plant: Plant, key: str) -> None:
    plant(world.connection, key.format(world.bad.job_id))
    assert_jobs_are_shown(world)


@garbage
def test_malformed_entries_of_a_history_and_a_log_are_skipped(world: World, value: bytes) -> None:
    job_id = world.bad.job_id
    for entry in (value, b'{"version": 1}', b'{"version": 1, "type": "job_completed", "at": "2026-01-01T00:00:00Z"}'):
        world.connection.rpush(f"wh:events:{job_id}", entry)
    line = json.dumps({"at": "2026-01-01T00:00:00Z", "attempt": 1, "level": "INFO", "message": "after"})
    world.connection.rpush(f"wh:logs:{job_id}", value, line)
    world.connection.hset(world.job, "logged", 2)
    assert [each["type"] for each in world.api(f"/jobs/{job_id}/events")["events"]] == ["job_queued"]
    lines = [each["message"] for each in world.api(f"/jobs/{job_id}/logs")["lines"]]
    assert lines == [value.decode("utf-8", "replace"), "after"]
    assert world.status(f"/jobs/{job_id}") == 200


@garbage
def test_a_malformed_entry_of_an_index_or_a_queue_hides_no_job(world: World, value: bytes) -> None:
    world.connection.zadd("wh:jobs:alice:pending", {value: 2**53})
    world.connection.lpush("rq:queue:default", value)
    world.connection.sadd("rq:queues", value, "rq:queue:", "rq:queue:odd")
    world.connection.set("rq:queue:odd", "garbage")
    world.connection.zadd("rq:failed:default", {value: 1})
    assert_jobs_are_shown(world)
    assert world.dashboard("0/data/jobs/default/failed/8/asc/1.json")["jobs"] == []
    names = [queue["name"] for queue in world.dashboard("0/data/queues.json")["queues"]]
    assert set(names) == {"default", "odd"}


# --- batches, schedules, webhooks, files, keys ------------------------------------------------


@pytest.fixture
def batch_id(world: World) -> str:
    job_type = world.client.catalogue["reverse-text"]
    entries = [Submission(job_type, {"text": "x"}, "alice")]
    return submit_batch(world.client, NewGroup("batch", "alice"), entries)[0]


@another_type
def test_a_batch_of_another_type_is_not_found(world: World, batch_id: str, plant: Plant) -> None:
    world.connection.hset(world.job, "group", batch_id)
    plant(world.connection, f"wh:group:{batch_id}")
    assert world.status(f"/api/v1/batches/{batch_id}") == world.status(f"/batches/{batch_id}") == 404
    assert_jobs_are_shown(world)


@garbage
def test_a_malformed_batch_is_not_found(world: World, batch_id: str, value: bytes) -> None:
    world.connection.hset(f"wh:group:{batch_id}", "job_ids", value)
    assert world.status(f"/api/v1/batches/{batch_id}") == world.status(f"/batches/{batch_id}") == 404


def test_a_malformed_member_hides_no_batch(world: World, batch_id: str) -> None:
    (member,) = world.api(f"/batches/{batch_id}")["job_ids"]
    for plant in (as_string, as_strange_hash):
        plant(world.connection, f"rq:job:{member}")
        assert world.api(f"/batches/{batch_id}")["job_ids"] == [member]


@pytest.fixture
def schedule_ids(world: World) -> tuple[str, str]:
    plan = Plan("reverse-text", {"text": "x"}, "0 3 * * *")
    first, second = (Schedules(world.client).create("alice", plan).schedule_id for _ in range(2))
    return first, second


def assert_one_schedule_is_left(world: World, schedule_ids: tuple[str, str]) -> None:
    kept, malformed = schedule_ids
    assert [each["schedule_id"] for each in world.api("/schedules")["schedules"]] == [kept]
    assert world.status("/schedules") == 200
    assert world.status(f"/api/v1/schedules/{malformed}") == 404


@another_type
def test_a_schedule_of_another_type_hides_no_other(world: World, schedule_ids: tuple[str, str], plant: Plant) -> None:
    plant(world.connection, f"wh:schedule:{schedule_ids[1]}")
    assert_one_schedule_is_left(world, schedule_ids)


@pytest.mark.parametrize(
    "record",
    [
        *GARBAGE,
        b'{"job_type": "reverse-text"}',
        b'{"job_type": 5, "params": {}, "cron": 5, "timezone": 5, "created_at": "2026-01-01T00:00:00Z"}',
        b'{"job_type": "x", "params": {}, "cron": "* * * * *", "timezone": "UTC", "created_at": "2026-01-01T00:00"}',
    ],
)
def test_a_malformed_schedule_hides_no_other(world: World, schedule_ids: tuple[str, str], record: bytes) -> None:
    world.connection.hset(f"wh:schedule:{schedule_ids[1]}", "record", record)
    world.connection.sadd("wh:schedules:alice", NOT_TEXT)
    assert_one_schedule_is_left(world, schedule_ids)


@pytest.mark.parametrize(
    "record",
    [
        *GARBAGE,
        b'{"url": "https://example.com/"}',
        b'{"url": 5, "events": [], "created_at": "2026-01-01T00:00:00Z", "ended_at": null}',
        b'{"url": "https://a.b/", "events": [5], "created_at": "2026-01-01T00:00:00Z", "ended_at": null}',
        b'{"url": "https://a.b/", "events": [], "created_at": "2026-01-01T00:00:00", "ended_at": null}',
    ],
)
def test_a_malformed_webhook_hides_no_other(world: World, record: bytes) -> None:
    webhook = Subscriptions(world.connection).subscribe("alice", "https://example.com/", ["job_completed"])
    world.connection.hset("wh:webhooks:alice", "malformed", record)
    world.connection.hset("wh:webhooks:alice", NOT_TEXT, "{}")
    assert [each["id"] for each in world.api("/webhooks")["webhooks"]] == [webhook.id]


def test_a_key_of_another_type_has_no_webhooks(world: World) -> None:
    for plant in (as_string, as_list):
        plant(world.connection, "wh:webhooks:alice")
        assert world.api("/webhooks")["webhooks"] == []


@another_type
def test_a_file_of_another_type_is_not_found(world: World, plant: Plant) -> None:
    file = world.client.files.save("alice", "a.txt", None, [b"x"])
    plant(world.connection, f"wh:file:{file.file_id}")
    assert world.status(f"/api/v1/files/{file.file_id}") == 404
    assert world.status(f"/api/v1/files/{file.file_id}/content") == 404


@pytest.mark.parametrize("name", ["owner", "filename", "content_type", "size", "sha256", "created_at", "expires_at"])
def test_a_file_whose_record_lacks_a_field_is_not_found(world: World, name: str) -> None:
    file = world.client.files.save("alice", "a.txt", None, [b"x"])
    world.connection.hdel(f"wh:file:{file.file_id}", name)
    assert world.status(f"/api/v1/files/{file.file_id}") == 404


@another_type
def test_an_api_key_of_another_type_hides_no_other(world: World, plant: Plant) -> None:
    kept, _ = world.accounts.create_key("alice", "kept")
    _, secret = world.accounts.create_key("alice", "malformed")
    plant(world.connection, f"wh:apikey:{fingerprint(secret)}")
    world.connection.hset("wh:apikeys:alice", "odd", NOT_TEXT)
    assert [each["id"] for each in world.api("/api-keys")["api_keys"]] == [kept.id]
    assert world.status("/keys") == 200
    denied = world.anybody().get("/api/v1/jobs", headers={"Authorization": f"Bearer {secret}"})
    assert denied.status_code == 401


@pytest.mark.parametrize("name", ["id", "user_id", "name", "created_at"])
def test_an_api_key_whose_record_lacks_a_field_is_not_valid(world: World, name: str) -> None:
    _, secret = world.accounts.create_key("alice", "malformed")
    world.connection.hdel(f"wh:apikey:{fingerprint(secret)}", name)
    assert world.api("/api-keys")["api_keys"] == []
    denied = world.anybody().get("/api/v1/jobs", headers={"Authorization": f"Bearer {secret}"})
    assert denied.status_code == 401


@another_type
def test_a_user_of_another_type_is_signed_out_and_hides_no_other(world: World, plant: Plant) -> None:
    plant(world.connection, "wh:user:alice")
    assert world.status("/api/v1/jobs") == 401
    assert [user.user_id for user in world.accounts.all()] == ["admin"]


@pytest.mark.parametrize("name", ["email", "roles", "created_at", "generation"])
def test_a_user_whose_record_lacks_a_field_is_signed_out(world: World, name: str) -> None:
    world.connection.hdel("wh:user:alice", name)
    assert world.status("/api/v1/jobs") == 401


def test_a_malformed_count_of_requests_signs_nobody_out(world: World) -> None:
    world.connection.hset("wh:user:alice", mapping={"request_count": "x", "last_request_at": "y"})
    assert world.status("/api/v1/users/me") == 200


@pytest.mark.parametrize("stored", [b"garbage", b"", NOT_TEXT])
def test_a_malformed_password_hash_lets_no_user_in(world: World, stored: bytes) -> None:
    world.connection.hset("wh:user:alice", "password", stored)
    credentials = {"username": "alice", "password": PASSWORD}
    assert world.anybody().post("/api/v1/token", json=credentials).status_code == 401


@pytest.mark.parametrize("plant", [as_string, as_list, as_strange_hash])
def test_a_malformed_idempotency_key_starts_a_new_job(world: World, plant: Plant) -> None:
    headers = world.bearer("alice") | {"Idempotency-Key": "k"}
    ids = []
    for _ in range(2):
        answer = world.anybody().post("/api/v1/jobs/reverse-text", json={"text": "x"}, headers=headers)
        assert answer.status_code == 202, answer.text
        ids.append(answer.get_json()["job_id"])
        for key in [key.decode() for key in world.connection.scan_iter("wh:idempotency:*")]:
            plant(world.connection, key)
    assert ids[0] != ids[1]


def test_webhook_secrets_of_another_type_are_replaced(world: World) -> None:
    headers = world.bearer("alice")
    for plant in (as_string, as_list, as_strange_hash):
        plant(world.connection, "wh:webhook-secrets:alice")
        assert world.anybody().post("/api/v1/webhooks/secret/rotate", headers=headers).status_code == 200


@pytest.mark.parametrize("record", [*GARBAGE, b"[5, 5, 5]", b'["alice", "x"]', '["alice", "\u00fc", null]'.encode()])
def test_a_malformed_session_is_signed_out(world: World, record: bytes) -> None:
    for key in world.connection.scan_iter("wh:session:*"):
        world.connection.set(key, record)
    assert world.status("/api/v1/jobs") == 401


def test_a_session_of_another_type_is_signed_out(world: World) -> None:
    for plant in (as_list, as_strange_hash):
        for key in [key.decode() for key in world.connection.scan_iter("wh:session:*")]:
            plant(world.connection, key)
        assert world.status("/api/v1/jobs") == 401


@pytest.mark.parametrize("fields", [{}, {"user": "alice"}, {"until": "x"}, {"session": "x"}, {"key": NOT_TEXT}])
def test_a_malformed_ticket_is_not_valid(world: World, fields: dict[Any, Any]) -> None:
    ticket = ticket_of(world)
    key = f"wh:ticket:{fingerprint(ticket)}"
    generation = world.connection.hget("wh:user:alice", "generation")
    world.connection.delete(key)
    world.connection.hset(key, mapping={"job": "", "user": "alice", "generation": generation} | fields)
    assert stream_status(world, ticket) == 401


@another_type
def test_a_ticket_of_another_type_is_not_valid(world: World, plant: Plant) -> None:
    ticket = ticket_of(world)
    plant(world.connection, f"wh:ticket:{fingerprint(ticket)}")
    assert stream_status(world, ticket) == 401


def ticket_of(world: World) -> str:
    answer = world.anybody().post("/api/v1/tickets", json={}, headers=world.bearer("alice"))
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["ticket"])


def stream_status(world: World, ticket: str) -> int:
    return world.anybody().head(f"/api/v1/jobs/{world.good.job_id}/stream?ticket={ticket}").status_code


# --- audit, workers, figures --------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [{"a": "b"}, {"action": "x"}, {"action": "x", "status": "y"}, {NOT_TEXT: "x"}, {"action": NOT_TEXT}]
)
def test_a_malformed_audit_entry_hides_no_other(world: World, fields: dict[Any, Any]) -> None:
    world.connection.xadd("wh:audit", fields)
    world.connection.xadd("wh:audit", {"action": "known", "status": "200"})
    assert [each["action"] for each in world.api("/audit?action=known", admin=True)["entries"]] == ["known"]
    assert world.status("/audit", admin=True) == 200


def test_an_audit_log_of_another_type_is_empty(world: World) -> None:
    for plant in (as_string, as_list, as_strange_hash):
        plant(world.connection, "wh:audit")
        assert world.status("/api/v1/audit", admin=True) == world.status("/audit", admin=True) == 200


@pytest.fixture
def workers(world: World) -> list[str]:
    alive: dict[Any, Any] = {"state": "idle", "hostname": "host", "queues": "default", "birth": "2026-01-01T00:00:00Z"}
    for name in ("good", "bad"):
        world.connection.hset(f"rq:worker:{name}", mapping=alive)
        world.connection.sadd("rq:workers", f"rq:worker:{name}")
    return ["good", "bad"]


def assert_a_worker_is_shown(world: World) -> None:
    assert "<code>host " in world.admin.get("/overview").text
    assert world.status("/metrics", admin=True) == 200
    assert "good" in [worker["name"] for worker in world.dashboard("0/data/workers.json")["workers"]]
    assert world.status("/dashboard/0/view/workers", admin=True) == 200


@another_type
def test_a_worker_of_another_type_hides_no_other(world: World, workers: list[str], plant: Plant) -> None:
    plant(world.connection, f"rq:worker:{workers[1]}")
    assert_a_worker_is_shown(world)


@garbage
def test_a_malformed_worker_hides_no_other(world: World, workers: list[str], value: bytes) -> None:
    for name in ("birth", "last_heartbeat", "successful_job_count", "current_job", "queues", "state"):
        world.connection.hset(f"rq:worker:{workers[1]}", name, value)
        assert_a_worker_is_shown(world)
    world.connection.sadd("rq:workers", value)
    assert_a_worker_is_shown(world)


@garbage
def test_a_malformed_sample_hides_no_other(world: World, value: bytes) -> None:
    counts = {"completed": 1, "failed": 1, "cancelled": 1, "started": 1, "waited_seconds": 1, "depth": 1}
    samples = [f"{60 * minute} {json.dumps(counts)}" for minute in (1, 2)]
    broken = [value, b"90 " + value, b"90 {}", f"90 {json.dumps(counts | {'failed': 'x'})}".encode()]
    scores: dict[Any, float] = {samples[0]: 60, **dict.fromkeys(broken, 90), samples[1]: 120}
    world.connection.zadd("wh:trend", scores)
    assert world.status("/overview", admin=True) == 200
    trend = world.admin.get("/overview/trends.json").get_json()
    assert trend["at"] == [120]


def test_a_trend_of_another_type_is_empty(world: World) -> None:
    for plant in (as_string, as_list, as_strange_hash):
        plant(world.connection, "wh:trend")
        assert world.admin.get("/overview/trends.json").get_json()["at"] == []


@garbage
def test_a_malformed_count_hides_no_other(world: World, value: bytes) -> None:
    for name in ("jobs", "retried", "resumed", "failed", "lost", "run", "wait", "http", "http_seconds"):
        for label in ("x", "a|b", "a|b|c", "a|b|c|d|e", value):
            world.connection.hset(f"wh:metrics:{name}", label, value)
    world.connection.hset("wh:metrics:jobs", "known|completed", 7)
    figures = world.admin.get("/metrics").text
    assert 'workhorse_jobs_total{job_type="known",status="completed"} 7.0' in figures
    assert world.status("/overview", admin=True) == 200


@another_type
def test_figures_of_another_type_hide_no_other(world: World, plant: Plant) -> None:
    for key in ("wh:metrics:http", "rq:workers", "rq:scheduled:default", "rq:wip:default", "wh:leases", "wh:outbox"):
        plant(world.connection, key)
    assert 'workhorse_jobs_total{job_type="reverse-text",status="pending"} 2.0' in world.admin.get("/metrics").text
    assert world.status("/overview", admin=True) == 200
