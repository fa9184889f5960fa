"""A request over the rate limit is refused after everything else that is wrong with it, and before any effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobs.bulk_action import bulk_action
from jobs.engine.author.decorator import job
from jobs.engine.client.groups import Groups
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from tests.unit.webapp.door import Door
from webapp.auth import OPEN
from webapp.services import EXTENSION

TEXT = {"text": "hello"}
BULK = {"action": "retry", "filter": {"job_type": "reverse-text"}}
PLAN = {"job_type": "reverse-text", "params": TEXT, "cron": "0 6 * * *"}
NEW_USER = {"username": "carol", "email": "carol@example.com", "password": "correct horse"}
WEBHOOK = {"url": "https://93.184.215.14/hook", "events": ["job_completed"]}
BATCH = {"jobs": [{"job_type": "reverse-text", "params": TEXT}]}
PIPELINE = {"steps": [{"job_type": "reverse-text", "params": TEXT}]}

GONE = "0" * 32
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}

#: What is written behind every request.
RECORDS = (b"wh:metrics", b"wh:audit", b"wh:http")


@job
def predict(text: str, model_id: str | None = None) -> dict[str, Any]:
    """Predict a label."""
    return {"model_id": model_id or "default", "label": "good", "confidence": 1.0}


@job
def search(q: str, limit: int = 10) -> dict[str, Any]:
    """Search."""
    return {"total": 0, "results": [], "q": q, "limit": limit}


@dataclass(frozen=True)
class World:
    """An administrator over the rate limit, who owns one of each resource."""

    door: Door
    #: The ids of the resources, by name.
    ids: dict[str, str]

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        if "file" in options:
            options |= {"data": {options.pop("file"): (BytesIO(b"one,two"), "contacts.csv")}}
        headers = self.door.bearer("admin") | options.pop("headers", {})
        return self.door.anybody().open(path.format(**self.ids), method=method, headers=headers, **options)

    def reset_rate(self) -> None:
        self.door.connection.delete("wh:rate:admin")

    def stored(self) -> dict[Any, Any]:
        """Everything in the broker, and every file."""
        connection: Any = self.door.connection
        keys = [key for key in connection.keys("*") if not key.startswith(RECORDS)]
        files = {str(path): path.stat().st_size for path in self.door.data_dir.rglob("*") if path.is_file()}
        return {key: connection.dump(key) for key in keys} | files


@pytest.fixture
def world(tmp_path: Path) -> World:
    door = Door(tmp_path, {"rate_limit": "1/hour"}, (predict, search, bulk_action))
    services = door.app.extensions[EXTENSION]
    client, kind = door.client, door.client.catalogue["reverse-text"]
    ended, group = door.submit("admin"), NewGroup("batch", "admin", admin=True)
    client.cancel(ended.job_id)
    dependent = client.submit(Submission(kind, TEXT, "admin", depends_on=(ended.job_id,)))
    equal = client.submit(Submission(kind, TEXT, "admin", unique_key="k"))
    client.cancel(equal.job.job_id)
    client.submit(Submission(kind, TEXT, "admin", unique_key="k"))
    parts = [Submission(job_type=kind, params=TEXT, user_id="admin")]
    plan = Plan("reverse-text", TEXT, "0 6 * * *")
    ids = {
        "job": door.submit("admin").job_id,
        "ended": ended.job_id,
        "dependent": dependent.job.job_id,
        "equal": equal.job.job_id,
        "batch": submit_batch(client, group, parts)[0],
        "pipeline": submit_batch(client, NewGroup("pipeline", "admin", admin=True), parts)[0],
        "ended_batch": submit_batch(client, group, parts)[0],
        "schedule": Schedules(client).create("admin", plan, admin=True).schedule_id,
        "file": client.files.save("admin", "contacts.csv", "text/csv", [b"one,two"]).file_id,
        "key": door.accounts.create_key("admin", "laptop")[0].id,
        "webhook": services.webhooks.subscribe("admin", WEBHOOK["url"], ["job_completed"]).id,
        "user": door.register("dave"),
        "worker": "host-7-abc",
        "gone": GONE,
    }
    Groups(client).cancel("batch", ids["ended_batch"])
    fields: dict[Any, Any] = {"state": "idle", "hostname": "host", "pid": "7", "birth": "2030-01-31T12:00:00.000000Z"}
    door.connection.hset("rq:worker:host-7-abc", mapping=fields)
    door.connection.sadd("rq:workers", "rq:worker:host-7-abc")
    world = World(door, ids)
    assert world.call("GET", "/api/v1/users/me").status_code == 200
    return world


#: One valid request for each route, by method and rule.
VALID: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("POST", "/api/v1/api-keys"): ("/api/v1/api-keys", {"json": {"name": "phone"}}),
    ("DELETE", "/api/v1/api-keys/<key_id>"): ("/api/v1/api-keys/{key}", {}),
    ("POST", "/api/v1/batches"): ("/api/v1/batches", {"json": BATCH}),
    ("GET", "/api/v1/batches/<batch_id>"): ("/api/v1/batches/{batch}", {}),
    ("DELETE", "/api/v1/batches/<batch_id>"): ("/api/v1/batches/{batch}", {}),
    ("POST", "/api/v1/files"): ("/api/v1/files", {"file": "file"}),
    ("GET", "/api/v1/files/<file_id>"): ("/api/v1/files/{file}", {}),
    ("DELETE", "/api/v1/files/<file_id>"): ("/api/v1/files/{file}", {}),
    ("GET", "/api/v1/files/<file_id>/content"): ("/api/v1/files/{file}/content", {}),
    ("GET", "/api/v1/job-types/<job_type>"): ("/api/v1/job-types/reverse-text", {}),
    ("PUT", "/api/v1/job-types/<job_type>/pause"): ("/api/v1/job-types/reverse-text/pause", {}),
    ("DELETE", "/api/v1/job-types/<job_type>/pause"): ("/api/v1/job-types/reverse-text/pause", {}),
    ("GET", "/api/v1/jobs/<job_id>"): ("/api/v1/jobs/{job}", {}),
    ("DELETE", "/api/v1/jobs/<job_id>"): ("/api/v1/jobs/{job}", {}),
    ("GET", "/api/v1/jobs/<job_id>/events"): ("/api/v1/jobs/{job}/events", {}),
    ("GET", "/api/v1/jobs/<job_id>/logs"): ("/api/v1/jobs/{job}/logs", {}),
    ("POST", "/api/v1/jobs/<job_id>/retry"): ("/api/v1/jobs/{ended}/retry", {}),
    ("GET", "/api/v1/jobs/<job_id>/stream"): ("/api/v1/jobs/{ended}/stream", {}),
    ("POST", "/api/v1/jobs/<job_type>"): ("/api/v1/jobs/reverse-text", {"json": TEXT}),
    ("POST", "/api/v1/jobs/bulk"): ("/api/v1/jobs/bulk", {"json": BULK}),
    ("POST", "/api/v1/pipelines"): ("/api/v1/pipelines", {"json": PIPELINE}),
    ("GET", "/api/v1/pipelines/<pipeline_id>"): ("/api/v1/pipelines/{pipeline}", {}),
    ("DELETE", "/api/v1/pipelines/<pipeline_id>"): ("/api/v1/pipelines/{pipeline}", {}),
    ("POST", "/api/v1/predict"): ("/api/v1/predict", {"json": TEXT}),
    ("POST", "/api/v1/schedules"): ("/api/v1/schedules", {"json": PLAN}),
    ("GET", "/api/v1/schedules/<schedule_id>"): ("/api/v1/schedules/{schedule}", {}),
    ("PATCH", "/api/v1/schedules/<schedule_id>"): ("/api/v1/schedules/{schedule}", {"json": {"overlap": "skip"}}),
    ("DELETE", "/api/v1/schedules/<schedule_id>"): ("/api/v1/schedules/{schedule}", {}),
    ("PUT", "/api/v1/schedules/<schedule_id>/pause"): ("/api/v1/schedules/{schedule}/pause", {}),
    ("DELETE", "/api/v1/schedules/<schedule_id>/pause"): ("/api/v1/schedules/{schedule}/pause", {}),
    ("POST", "/api/v1/schedules/<schedule_id>/run"): ("/api/v1/schedules/{schedule}/run", {}),
    ("GET", "/api/v1/schedules/<schedule_id>/runs"): ("/api/v1/schedules/{schedule}/runs", {}),
    ("PUT", "/api/v1/queues/<queue_name>/pause"): ("/api/v1/queues/high/pause", {}),
    ("DELETE", "/api/v1/queues/<queue_name>/pause"): ("/api/v1/queues/high/pause", {}),
    ("GET", "/api/v1/search"): ("/api/v1/search?q=words", {}),
    ("POST", "/api/v1/tickets"): ("/api/v1/tickets", {}),
    ("POST", "/api/v1/users"): ("/api/v1/users", {"json": NEW_USER}),
    ("DELETE", "/api/v1/users/<user_id>"): ("/api/v1/users/{user}", {}),
    ("POST", "/api/v1/webhooks"): ("/api/v1/webhooks", {"json": WEBHOOK}),
    ("DELETE", "/api/v1/webhooks/<webhook_id>"): ("/api/v1/webhooks/{webhook}", {}),
    ("PUT", "/api/v1/workers/<worker_name>/drain"): ("/api/v1/workers/{worker}/drain", {}),
    ("DELETE", "/api/v1/workers/<worker_name>/drain"): ("/api/v1/workers/{worker}/drain", {}),
    ("POST", "/jobs/bulk"): ("/jobs/bulk", {"data": {"do": "retry", "job_type": "reverse-text"}}),
    ("GET", "/overview/queues/<queue_name>/pause"): ("/overview/queues/high/pause", {}),
    ("POST", "/overview/queues/<queue_name>/pause"): ("/overview/queues/high/pause", {}),
    ("POST", "/overview/queues/<queue_name>/resume"): ("/overview/queues/high/resume", {}),
    ("GET", "/submit/<job_type>/pause"): ("/submit/reverse-text/pause", {}),
    ("POST", "/submit/<job_type>/pause"): ("/submit/reverse-text/pause", {}),
    ("POST", "/submit/<job_type>/resume"): ("/submit/reverse-text/resume", {}),
    ("GET", "/batches/<group_id>"): ("/batches/{batch}", {}),
    ("POST", "/batches/<group_id>/cancel"): ("/batches/{batch}/cancel", {}),
    ("GET", "/dashboard/<int:instance_number>/data/job/<job_id>.json"): ("/dashboard/0/data/job/{job}.json", {}),
    (
        "GET",
        "/dashboard/<int:instance_number>/data/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>.json",
    ): ("/dashboard/0/data/jobs/default/queued/5/asc/1.json", {}),
    ("GET", "/dashboard/<int:instance_number>/data/queues.json"): ("/dashboard/0/data/queues.json", {}),
    ("GET", "/dashboard/<int:instance_number>/data/workers.json"): ("/dashboard/0/data/workers.json", {}),
    ("GET", "/dashboard/<int:instance_number>/view/job/<job_id>"): ("/dashboard/0/view/job/{job}", {}),
    ("GET", "/dashboard/<int:instance_number>/view/jobs"): ("/dashboard/0/view/jobs", {}),
    (
        "GET",
        "/dashboard/<int:instance_number>/view/jobs/<queue_name>/<registry_name>/<int:per_page>/<order>/<int:page>",
    ): ("/dashboard/0/view/jobs/default/queued/5/asc/1", {}),
    ("GET", "/dashboard/<int:instance_number>/view/workers"): ("/dashboard/0/view/workers", {}),
    ("POST", "/dashboard/job/<job_id>/delete"): ("/dashboard/job/{job}/delete", {}),
    ("POST", "/dashboard/job/<job_id>/requeue"): ("/dashboard/job/{ended}/requeue", {}),
    ("GET", "/dashboard/static/<path:filename>"): ("/dashboard/static/css/main.css", {}),
    ("POST", "/jobs"): ("/jobs", {"data": {"job_id": "{job}", "do": "cancel"}}),
    ("GET", "/jobs/<job_id>"): ("/jobs/{job}", {}),
    ("POST", "/jobs/<job_id>/cancel"): ("/jobs/{job}/cancel", {}),
    ("GET", "/jobs/<job_id>/changed"): ("/jobs/{job}/changed", {}),
    ("GET", "/jobs/<job_id>/live"): ("/jobs/{ended}/live", {}),
    ("POST", "/jobs/<job_id>/retry"): ("/jobs/{ended}/retry", {}),
    ("POST", "/keys"): ("/keys", {"data": {"name": "phone"}}),
    ("POST", "/keys/<key_id>/revoke"): ("/keys/{key}/revoke", {}),
    ("GET", "/pipelines/<group_id>"): ("/pipelines/{pipeline}", {}),
    ("POST", "/pipelines/<group_id>/cancel"): ("/pipelines/{pipeline}/cancel", {}),
    ("GET", "/schedules/<schedule_id>"): ("/schedules/{schedule}", {}),
    ("POST", "/schedules/<schedule_id>/delete"): ("/schedules/{schedule}/delete", {}),
    ("POST", "/schedules/<schedule_id>/edit"): ("/schedules/{schedule}/edit", {"data": {"overlap": "skip"}}),
    ("POST", "/schedules/<schedule_id>/pause"): ("/schedules/{schedule}/pause", {}),
    ("POST", "/schedules/<schedule_id>/resume"): ("/schedules/{schedule}/resume", {}),
    ("POST", "/schedules/<schedule_id>/run"): ("/schedules/{schedule}/run", {}),
    ("GET", "/submit/<job_type>"): ("/submit/reverse-text", {}),
    ("POST", "/submit/<job_type>"): ("/submit/reverse-text", {"data": {"/text": "hello"}}),
    ("POST", "/submit/<job_type>/files"): ("/submit/count-lines/files", {"file": "/file"}),
}

#: Routes that never succeed here: rq-dashboard's bulk changes are always refused (409), its addresses with the number
#: 0 redirect to those without, and a WebSocket needs a server.
NEVER_DONE = {
    ("GET", "/dashboard/<int:instance_number>/"),
    ("GET", "/dashboard/<int:instance_number>/view"),
    ("GET", "/dashboard/<int:instance_number>/view/queues"),
    ("POST", "/dashboard/queue/<queue_name>/<registry_name>/empty"),
    ("POST", "/dashboard/queue/<queue_name>/compact"),
    ("GET", "/dashboard/requeue/<queue_name>"),
    ("POST", "/dashboard/requeue/<queue_name>"),
    ("GET", "/api/v1/jobs/<job_id>/ws"),
}


def closed_rules(door: Door) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in door.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if (method, rule.rule) not in OPEN
    }


def test_every_route_returns_429_and_changes_nothing_over_the_rate_limit(world: World) -> None:
    rules = closed_rules(world.door) - NEVER_DONE
    assert set(VALID) <= rules
    before = world.stored()
    for method, rule in sorted(rules):
        path, options = VALID.get((method, rule), (rule, {}))
        answer = world.call(method, path, **options)
        assert answer.status_code == 429, (method, rule, answer.status_code)
        assert int(answer.headers["Retry-After"]) >= 1, (method, rule)
        answer.close()
        assert world.stored() == before, (method, rule)


@pytest.mark.parametrize(("method", "rule"), VALID)
def test_within_the_rate_limit_the_same_request_is_served(world: World, method: str, rule: str) -> None:
    path, options = VALID[method, rule]
    world.reset_rate()
    answer = world.call(method, path, **options)
    assert answer.status_code < 400, answer.text
    answer.close()


def test_a_websocket_is_refused_over_the_rate_limit(world: World) -> None:
    assert world.call("GET", "/api/v1/jobs/{job}/ws", headers=UPGRADE).status_code == 429


#: Requests that are refused for another reason although the caller is over the rate limit.
REFUSED: list[tuple[int, str, str, dict[str, Any]]] = [
    (404, "GET", "/api/v1/nowhere", {}),
    (404, "GET", "/nowhere", {}),
    (405, "PUT", "/api/v1/jobs", {}),
    (405, "POST", "/api/v1/users/me", {}),
    (405, "DELETE", "/jobs", {}),
    (415, "POST", "/api/v1/api-keys", {"data": "{"}),
    (422, "POST", "/api/v1/api-keys", {"json": {"name": 1}}),
    (422, "GET", "/api/v1/api-keys?unknown=1", {}),
    (404, "DELETE", "/api/v1/api-keys/{gone}", {}),
    (409, "DELETE", "/api/v1/api-keys/configured", {}),
    (422, "GET", "/api/v1/audit?limit=0", {}),
    (422, "GET", "/api/v1/audit?cursor=x", {}),
    (415, "POST", "/api/v1/batches", {"data": "{"}),
    (422, "POST", "/api/v1/batches", {"json": {"jobs": [{"job_type": "nothing"}]}}),
    (422, "POST", "/api/v1/batches", {"json": {"jobs": [BATCH["jobs"][0] | {"depends_on": GONE}]}}),
    (404, "GET", "/api/v1/batches/{gone}", {}),
    (422, "GET", "/api/v1/batches/{batch}?unknown=1", {}),
    (404, "DELETE", "/api/v1/batches/{gone}", {}),
    (409, "DELETE", "/api/v1/batches/{ended_batch}", {}),
    (415, "POST", "/api/v1/files", {"json": {}}),
    (422, "POST", "/api/v1/files", {"file": "document"}),
    (404, "GET", "/api/v1/files/{gone}", {}),
    (404, "GET", "/api/v1/files/{gone}/content", {}),
    (404, "DELETE", "/api/v1/files/{gone}", {}),
    (422, "GET", "/api/v1/job-types?unknown=1", {}),
    (404, "GET", "/api/v1/job-types/nothing", {}),
    (422, "GET", "/api/v1/jobs?limit=0", {}),
    (422, "GET", "/api/v1/jobs?cursor=x", {}),
    (404, "GET", "/api/v1/jobs/{gone}", {}),
    (422, "GET", "/api/v1/jobs/{job}?wait=99", {}),
    (404, "DELETE", "/api/v1/jobs/{gone}", {}),
    (409, "DELETE", "/api/v1/jobs/{ended}", {}),
    (404, "POST", "/api/v1/jobs/{gone}/retry", {}),
    (409, "POST", "/api/v1/jobs/{job}/retry", {}),
    (409, "POST", "/api/v1/jobs/{dependent}/retry", {}),
    (409, "POST", "/api/v1/jobs/{equal}/retry", {}),
    (404, "GET", "/api/v1/jobs/{gone}/logs", {}),
    (422, "GET", "/api/v1/jobs/{job}/logs?cursor=x", {}),
    (404, "GET", "/api/v1/jobs/{gone}/events", {}),
    (404, "GET", "/api/v1/jobs/{gone}/stream", {}),
    (404, "GET", "/api/v1/jobs/{gone}/ws", {"headers": UPGRADE}),
    (422, "GET", "/api/v1/jobs/{job}/stream?logs=maybe", {}),
    (422, "GET", "/api/v1/jobs/stream?unknown=1", {}),
    (404, "POST", "/api/v1/jobs/nothing", {"json": {}}),
    (422, "POST", "/api/v1/jobs/reverse-text", {"json": {"txt": 1}}),
    (422, "POST", "/api/v1/pipelines", {"json": {"steps": []}}),
    (422, "POST", "/api/v1/pipelines", {"json": {"steps": [{"job_type": "reverse-text"}]}}),
    (404, "GET", "/api/v1/pipelines/{gone}", {}),
    (422, "POST", "/api/v1/predict", {"json": {"text": 1}}),
    (422, "GET", "/api/v1/search", {}),
    (422, "POST", "/api/v1/schedules", {"json": PLAN | {"cron": "never"}}),
    (404, "GET", "/api/v1/schedules/{gone}", {}),
    (404, "DELETE", "/api/v1/schedules/{gone}", {}),
    (404, "PATCH", "/api/v1/schedules/{gone}", {"json": {}}),
    (422, "PATCH", "/api/v1/schedules/{schedule}", {"json": {"cron": "never"}}),
    (422, "PATCH", "/api/v1/schedules/{schedule}", {"json": {"params": {"txt": 1}}}),
    (404, "PUT", "/api/v1/schedules/{gone}/pause", {}),
    (422, "PUT", "/api/v1/schedules/{schedule}/pause", {"json": {"until": "2020-01-01T00:00:00Z"}}),
    (404, "DELETE", "/api/v1/schedules/{gone}/pause", {}),
    (404, "POST", "/api/v1/schedules/{gone}/run", {}),
    (404, "GET", "/api/v1/schedules/{gone}/runs", {}),
    (404, "POST", "/api/v1/tickets", {"json": {"job_id": GONE}}),
    (422, "POST", "/api/v1/users", {"json": NEW_USER | {"password": ""}}),
    (422, "GET", "/api/v1/users/me?unknown=1", {}),
    (404, "DELETE", "/api/v1/users/nobody", {}),
    (409, "DELETE", "/api/v1/users/me", {}),
    (422, "POST", "/api/v1/webhooks", {"json": WEBHOOK | {"events": []}}),
    (404, "DELETE", "/api/v1/webhooks/{gone}", {}),
    (422, "POST", "/api/v1/webhooks/secret/rotate?unknown=1", {}),
    (422, "GET", "/metrics?unknown=1", {}),
    (422, "GET", "/openapi.json?unknown=1", {}),
    (404, "GET", "/jobs/{gone}", {}),
    (404, "POST", "/jobs/{gone}/cancel", {}),
    (422, "GET", "/jobs?cursor=x", {}),
    (422, "GET", "/audit?cursor=x", {}),
    (404, "GET", "/batches/{gone}", {}),
    (422, "POST", "/keys", {"data": {"name": "x" * 101}}),
    (404, "POST", "/keys/{gone}/revoke", {}),
    (404, "GET", "/schedules/{gone}", {}),
    (404, "POST", "/schedules/{gone}/delete", {}),
    (422, "POST", "/schedules/{schedule}/edit", {"data": {"cron": "never"}}),
    (422, "POST", "/schedules/{schedule}/pause", {"data": {"until": "2020-01-01T00:00"}}),
    (404, "GET", "/submit/nothing", {}),
    (422, "POST", "/submit/reverse-text", {"data": {}}),
    (404, "GET", "/dashboard/0/view/job/{gone}", {}),
    (409, "POST", "/dashboard/queue/default/compact", {}),
]


@pytest.mark.parametrize(("status", "method", "path", "options"), REFUSED, ids=lambda value: str(value)[:60])
def test_every_other_refusal_comes_before_that_of_the_rate(
    world: World, status: int, method: str, path: str, options: dict[str, Any]
) -> None:
    assert world.call(method, path, **options).status_code == status


Fill = Callable[[Door], None]


def fill_keys(door: Door) -> None:
    for number in range(98):  # beside the configured one and the one of the fixture
        door.accounts.create_key("admin", str(number))


def fill_webhooks(door: Door) -> None:
    for _ in range(19):
        door.app.extensions[EXTENSION].webhooks.subscribe("admin", WEBHOOK["url"], ["job_completed"])


def fill_schedules(door: Door) -> None:
    for _ in range(99):
        Schedules(door.client).create("admin", Plan("reverse-text", TEXT, "0 6 * * *"), admin=True)


@pytest.mark.parametrize(
    ("path", "body", "fill"),
    [
        ("/api/v1/api-keys", {}, fill_keys),
        ("/api/v1/webhooks", WEBHOOK, fill_webhooks),
        ("/api/v1/schedules", PLAN, fill_schedules),
    ],
)
def test_a_full_list_comes_before_the_rate(world: World, path: str, body: dict[str, Any], fill: Fill) -> None:
    fill(world.door)
    assert world.call("POST", path, json=body).status_code == 409


def test_a_registration_over_the_rate_limit_does_not_show_if_the_name_is_taken(world: World) -> None:
    """Or names could be tried without end."""
    taken = NEW_USER | {"username": "dave"}
    assert world.call("POST", "/api/v1/users", json=taken).status_code == 429


def test_a_submission_with_an_unknown_file_counts(world: World) -> None:
    world.reset_rate()
    answer = world.call("POST", "/api/v1/jobs/count-lines", json={"file": GONE})
    assert answer.status_code == 422
    assert world.call("GET", "/api/v1/users/me").status_code == 429


def test_a_refused_request_counts(world: World) -> None:
    for path in ("/api/v1/nowhere", "/api/v1/jobs/{gone}", "/api/v1/jobs?limit=0"):
        world.reset_rate()
        assert world.call("GET", path).status_code in (404, 422)
        assert world.call("GET", "/api/v1/users/me").status_code == 429
