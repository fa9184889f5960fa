"""rq-dashboard is for administrators, is harmless, and changes jobs only through the engine."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from rq import Queue, Worker
from rq.serializers import JSONSerializer, PickleSerializer

from jobs.engine.client.job import Job
from jobs.engine.states import Status
from tests.unit.webapp.door import Door

HTML = {"Accept": "text/html"}
VIEWS = ["", "0/view/queues", "0/view/workers", "0/view/jobs", "0/view/jobs/default/queued/8/asc/1"]
DATA = ["0/data/queues.json", "0/data/workers.json", "0/data/jobs/default/queued/8/asc/1.json"]
SAME_ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    door = Door(tmp_path)
    door.register()
    return door


@pytest.fixture
def admin(door: Door) -> dict[str, str]:
    return door.bearer("admin")


def get(door: Door, path: str) -> Any:
    return door.anybody().get(f"/dashboard/{path}", headers=door.bearer("admin"), follow_redirects=True)


def post(door: Door, path: str) -> Any:
    return door.anybody().post(f"/dashboard/{path}", headers=door.bearer("admin"))


def foreign(door: Door, *args: Any, **options: Any) -> Any:
    """Enqueue a job with plain RQ."""
    return Queue("default", connection=door.connection, serializer=JSONSerializer).enqueue(
        "os.getcwd", *args, **options
    )


def stored(door: Door) -> dict[bytes, Any]:
    """Return all keys of RQ and of jobs in the broker."""
    keys = [bytes(key) for key in door.connection.keys("*")]  # type: ignore[arg-type]  # bytes: nothing is decoded
    # Nor the audit log and the metrics, which are written later.
    aside = (b"user", b"rate", b"audit", b"metrics")
    return {key: door.connection.dump(key) for key in keys if not any(word in key for word in aside)}


def fail(door: Door, job: Job) -> None:
    """Make a job a failed one."""
    door.connection.lrem("rq:queue:default", 0, job.job_id)
    door.connection.hset(f"rq:job:{job.job_id}", "status", "failed")
    door.connection.zadd("rq:failed:default", {job.job_id: 2**33})
    score = door.connection.zscore("wh:jobs:alice:pending", job.job_id) or 0.0
    door.connection.zrem("wh:jobs:alice:pending", job.job_id)
    door.connection.zadd("wh:jobs:alice:failed", {job.job_id: score})


# --- who ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/dashboard", "/dashboard/", "/dashboard/0/view/jobs", "/dashboard/static/css/main.css"]
)
def test_the_dashboard_is_for_administrators(door: Door, path: str) -> None:
    assert door.anybody().get(path).status_code == 401
    assert door.anybody().get(path, headers=HTML).headers["Location"].startswith("/sign-in?next=/dashboard")
    assert door.anybody().get(path, headers=door.bearer()).status_code == 403
    assert door.browser().client.get(path, headers=HTML).status_code == 403
    with door.browser("admin").client.get(path, follow_redirects=True) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("path", VIEWS + DATA)
def test_an_administrator_sees_every_view(door: Door, path: str) -> None:
    door.submit()
    foreign(door)
    assert get(door, path).status_code == 200


def test_the_address_of_the_broker_is_not_shown(door: Door) -> None:
    assert "redis://" not in get(door, "").text and "unix:" not in get(door, "").text


# --- views --------------------------------------------------------------------------


def test_our_jobs_are_listed_and_shown(door: Door) -> None:
    job = door.submit()
    listed = get(door, "0/data/jobs/default/queued/8/asc/1.json").json
    assert [each["id"] for each in listed["jobs"]] == [job.job_id]
    assert get(door, f"0/view/job/{job.job_id}").status_code == 200
    shown = get(door, f"0/data/job/{job.job_id}.json").json
    assert shown["status"] == "queued" and shown["description"] == "reverse-text"


def test_a_job_is_shown_with_its_dependencies(door: Door) -> None:
    first = door.submit()
    second = door.submit(depends_on=(first.job_id,))
    shown = get(door, f"0/data/job/{second.job_id}.json").json
    assert shown["depends_on"] == [first.job_id] and shown["depends_on_status"] == ["active"]
    plain = foreign(door, depends_on=foreign(door))
    assert get(door, f"0/data/job/{plain.id}.json").json["depends_on_status"] == ["active"]


def test_reading_the_dashboard_changes_nothing(door: Door) -> None:
    ours, gone = door.submit(), door.submit()
    fail(door, door.submit())
    foreign(door, depends_on=foreign(door))
    door.connection.delete(f"rq:job:{gone.job_id}")
    before = stored(door)
    for path in VIEWS + DATA:
        get(door, path)
    for registry in ("queued", "failed", "deferred", "started", "finished", "canceled", "scheduled"):
        for order in ("asc", "dsc"):
            assert get(door, f"0/data/jobs/default/{registry}/8/{order}/1.json").status_code == 200
    get(door, f"0/data/job/{ours.job_id}.json")
    assert stored(door) == before


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.putenv, ("EXPLODED", "1")


def test_a_pickle_is_never_loaded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue("default", connection=door.connection, serializer=PickleSerializer)
    job = queue.enqueue("os.getcwd", meta={"a": "b"}, description="pickled")
    bomb = pickle.dumps(Bomb())
    door.connection.hset(job.key, mapping={"data": bomb, "meta": bomb})
    door.connection.hset("rq:worker:w", mapping={"state": "busy", "current_job": job.id, "queues": "default"})
    door.connection.sadd("rq:workers", "rq:worker:w")
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("a pickle was loaded"))
    for path in (*VIEWS, *DATA, f"0/view/job/{job.id}", f"0/data/job/{job.id}.json"):
        assert get(door, path).status_code == 200, path
    assert post(door, f"job/{job.id}/delete").status_code == 200


def test_a_worker_whose_job_has_just_gone_is_shown_as_idle(door: Door) -> None:
    door.connection.hset("rq:worker:w", mapping={"state": "busy", "current_job": "gone", "queues": "default"})
    door.connection.sadd("rq:workers", "rq:worker:w")
    (worker,) = get(door, "0/data/workers.json").json["workers"]
    assert worker["current_job"] == "idle"
    assert Worker.all(connection=door.connection)


def test_markup_in_user_data_is_escaped(door: Door) -> None:
    markup = "<img src=x onerror=alert(1)>"
    job = foreign(door, markup, description=markup, meta={markup: markup})
    page = get(door, f"0/data/job/{job.id}.json").text
    assert "<img" not in page and "&lt;img" in page
    # The page of the list escapes these two itself.
    listed = get(door, "0/data/jobs/default/queued/8/asc/1.json").json["jobs"][0]
    assert listed["description"] == markup


def test_a_queue_name_in_the_address_can_not_inject_a_script(door: Door) -> None:
    for name in ("';alert(1);'", "<script>", "%27%3Balert(1)%3B%27"):
        assert get(door, f"0/view/jobs/{name}/queued/8/asc/1").status_code == 404


def test_a_queue_with_needs_is_shown(door: Door) -> None:
    Queue("high@gpu+large", connection=door.connection, serializer=JSONSerializer).enqueue("os.getcwd")
    assert len(get(door, "0/data/jobs/high@gpu+large/queued/8/asc/1.json").json["jobs"]) == 1
    assert get(door, "0/view/jobs/high@gpu+large/queued/8/asc/1").status_code == 200
    assert "high@gpu+large" in get(door, "0/data/queues.json").text


def test_only_the_page_s_own_script_may_run(door: Door) -> None:
    page = get(door, "")
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce and page.text.count(f'nonce="{nonce[1]}"') == 1
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "'unsafe-inline'" not in scripts
    assert get(door, "").headers["Content-Security-Policy"] != policy


@pytest.mark.parametrize(
    "path",
    [
        "1/view/queues",
        "0/view/job/nowhere",
        "0/data/job/nowhere.json",
        "0/data/jobs/default/nowhere/8/asc/1.json",
        "0/data/jobs/default/queued/8/up/1.json",
        "0/data/jobs/default/queued/x/asc/1.json",
        "0/data/jobs/default/queued/8/asc/0.json",
        "0/view/jobs/default/queued/0/asc/1",
    ],
)
def test_an_unknown_address_is_not_found(door: Door, path: str) -> None:
    assert get(door, path).status_code == 404


def test_the_length_of_a_page_is_limited(door: Door) -> None:
    assert get(door, "0/data/jobs/default/queued/1000000/asc/1.json").status_code == 200
    assert 'value="200"' in get(door, "0/view/jobs/default/queued/1000000/asc/1").text


def test_a_page_says_that_the_broker_is_away(door: Door, admin: dict[str, str]) -> None:
    assert get(door, "0/data/queues.json").status_code == 200
    door.server.connected = False
    assert get(door, "0/data/queues.json").status_code == 503


# --- what it may do ---------------------------------------------------------------------------


def test_a_get_changes_nothing(door: Door) -> None:
    fail(door, door.submit())
    before = stored(door)
    for method in ("GET", "HEAD"):
        answer = door.anybody().open("/dashboard/requeue/default", method=method, headers=door.bearer("admin"))
        assert answer.status_code == 405 and answer.headers["Allow"] == "POST"
    assert stored(door) == before


@pytest.mark.parametrize(
    "path",
    ["requeue/default", "queue/default/compact", *(f"queue/default/{name}/empty" for name in ("queued", "failed"))],
)
def test_actions_on_many_jobs_are_refused(door: Door, path: str) -> None:
    door.submit()
    fail(door, door.submit())
    before = stored(door)
    answer = post(door, path)
    assert answer.status_code == 409 and "Bulk changes are disabled" in answer.json["detail"]
    assert stored(door) == before


def test_deleting_our_job_cancels_it(door: Door) -> None:
    job = door.submit()
    assert post(door, f"job/{job.job_id}/delete").json == {"status": "OK"}
    assert door.client.find(job.job_id).status is Status.CANCELLED
    assert door.client.counts("alice")[Status.CANCELLED] == 1
    assert post(door, f"job/{job.job_id}/delete").status_code == 409


def test_requeueing_our_job_retries_it(door: Door) -> None:
    job = door.submit()
    assert post(door, f"job/{job.job_id}/requeue").status_code == 409
    fail(door, job)
    assert post(door, f"job/{job.job_id}/requeue").json == {"status": "OK"}
    assert door.client.find(job.job_id).status is Status.PENDING


def test_a_job_of_plain_rq_is_left_to_rq(door: Door) -> None:
    job = foreign(door)
    assert post(door, f"job/{job.id}/requeue").status_code == 409
    assert post(door, f"job/{job.id}/delete").json == {"status": "OK"}
    assert not door.connection.exists(job.key)
    assert post(door, f"job/{job.id}/delete").status_code == 404


def test_buttons_work_only_from_the_dashboard_s_own_pages(door: Door) -> None:
    browser = door.browser("admin").client
    job = door.submit()
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert browser.post(f"/dashboard/job/{job.job_id}/delete", headers=headers).status_code == 403
    assert door.client.find(job.job_id).status is Status.PENDING
    assert browser.post(f"/dashboard/job/{job.job_id}/delete", headers=SAME_ORIGIN).status_code == 200


def test_the_data_of_the_dashboard_is_json(door: Door) -> None:
    assert json.loads(get(door, "0/data/queues.json").data) == {"queues": []}
