"""The audit log: its entries, and who may read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobs.engine.accounts.audit import KEY
from jobs.engine.client.submission import Submission
from tests.unit.webapp.conftest import Person
from tests.unit.webapp.door import Door
from tests.waiting import eventually
from webapp import recording
from webapp.services import Services


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def entries(admin: Person, **filters: Any) -> list[dict[str, Any]]:
    answer = admin.get("/api/v1/audit", query_string=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["entries"]
    return found


def test_changes_are_logged_with_their_user_and_address(alice: Person, admin: Person) -> None:
    job = alice.submits()
    alice.delete(f"/api/v1/jobs/{job['job_id']}")
    key = alice.post("/api/v1/api-keys", json={"name": "laptop"}).get_json()
    alice.delete(f"/api/v1/api-keys/{key['id']}")

    log = entries(admin, user_id="alice")
    assert [entry["action"] for entry in log] == ["revoke-api-key", "create-api-key", "cancel-job", "submit-job"]
    assert [entry["subject"] for entry in log][2:] == [job["job_id"], job["job_id"]]
    assert {entry["address"] for entry in log} == {"127.0.0.1"}
    assert "wh_" not in json.dumps(log)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/api/v1/users", {"username": "carol", "email": "carol@example.com", "password": "correct horse"}, "user_id"),
        ("/api/v1/api-keys", {"name": "laptop"}, "id"),
        ("/api/v1/webhooks", {"url": "https://example.com/hook", "events": ["job_failed"]}, "id"),
        ("/api/v1/schedules", {"job_type": "noop", "params": {}, "cron": "0 6 * * *"}, "schedule_id"),
    ],
)
def test_the_subject_of_a_creation_is_what_was_created(
    admin: Person, path: str, body: dict[str, Any], name: str
) -> None:
    answer = admin.post(path, json=body)
    assert answer.status_code == 201, answer.text
    assert entries(admin, user_id="admin")[0]["subject"] == answer.get_json()[name]


def test_the_subject_of_a_key_that_is_created_on_the_page_is_the_key(door: Door) -> None:
    admin = door.browser("admin")
    admin.client.post("/keys", data={"csrf_token": admin.csrf_token, "name": "laptop"})
    log = door.anybody().get("/api/v1/audit?action=create-api-key", headers=door.bearer("admin")).get_json()["entries"]
    keys = door.anybody().get("/api/v1/api-keys", headers=door.bearer("admin")).get_json()["api_keys"]
    assert log[0]["subject"] in [key["id"] for key in keys if key["name"] == "laptop"]


def test_successful_and_failed_sign_ins_are_logged(
    registered: Callable[[str], Person], stranger: FlaskClient, admin: Person
) -> None:
    registered("carol")
    for password in ("wrong horse", "correct horse"):
        stranger.post("/api/v1/token", json={"username": "carol", "password": password})
    stranger.post("/sign-in", data={"username": "carol", "password": "wrong horse"})
    stranger.post("/sign-in", data={"username": "carol", "password": "correct horse"})

    log = entries(admin, action="sign-in")
    assert [(entry["user_id"], entry["status"]) for entry in log] == [
        ("carol", 303),
        ("carol", 401),
        ("carol", 200),
        ("carol", 401),
    ]


def test_admins_reads_of_other_users_resources_are_logged(alice: Person, admin: Person) -> None:
    job = alice.submits()
    own = admin.submits()
    admin.get(f"/api/v1/jobs/{own['job_id']}")
    admin.get(f"/api/v1/jobs/{job['job_id']}")
    admin.get("/api/v1/jobs?user_id=alice")

    log = entries(admin, action="admin-read")
    assert [entry["subject"] for entry in log][:2] == ["jobs of alice", job["job_id"]]
    assert own["job_id"] not in [entry["subject"] for entry in log]


SCHEDULE = {"job_type": "noop", "params": {}, "cron": "0 6 * * *"}


def upload(person: Person) -> str:
    form = {"file": (BytesIO(b"one,two"), "contacts.csv")}
    answer = person.post("/api/v1/files", data=form, content_type="multipart/form-data")
    return str(answer.get_json()["file_id"])


def schedule(person: Person) -> str:
    return str(person.post("/api/v1/schedules", json=SCHEDULE).get_json()["schedule_id"])


@pytest.mark.parametrize("path", ["/api/v1/files/{}", "/api/v1/files/{}/content"])
def test_an_admin_s_read_of_another_user_s_file_is_in_the_log(alice: Person, admin: Person, path: str) -> None:
    theirs, own = upload(alice), upload(admin)
    for file_id in (own, theirs):
        assert admin.get(path.format(file_id)).status_code == 200
    assert [entry["subject"] for entry in entries(admin, action="admin-read")] == [theirs]


def test_an_admin_s_read_of_another_user_s_schedule_is_in_the_log(alice: Person, admin: Person) -> None:
    theirs, own = schedule(alice), schedule(admin)
    for schedule_id in (own, theirs):
        assert admin.get(f"/api/v1/schedules/{schedule_id}").status_code == 200
    assert [entry["subject"] for entry in entries(admin, action="admin-read")] == [theirs]


def reads_at(door: Door) -> set[str]:
    answer = door.anybody().get("/api/v1/audit?action=admin-read", headers=door.bearer("admin"))
    return {entry["subject"] for entry in answer.get_json()["entries"]}


def test_the_log_has_an_admin_s_form_that_shows_another_user_s_job_and_file(door: Door) -> None:
    file = door.client.files.save(door.register(), "contacts.csv", "text/csv", [b"one,two"])
    job_type = door.client.catalogue["count-lines"]
    job = door.client.submit(Submission(job_type=job_type, params={"file": file.file_id}, user_id="alice")).job
    page = door.browser("admin").client.get(f"/submit/count-lines?like={job.job_id}")
    assert "contacts.csv" in page.text
    assert reads_at(door) == {job.job_id, file.file_id}


def test_the_log_has_an_admin_s_refused_form_that_shows_another_user_s_file(door: Door) -> None:
    file = door.client.files.save(door.register(), "contacts.csv", "text/csv", [b"one,two"])
    admin = door.browser("admin")
    form = {"csrf_token": admin.csrf_token, "/file": file.file_id, "/width": "wide"}
    page = admin.client.post("/submit/count-lines", data=form)
    assert (page.status_code, "contacts.csv" in page.text) == (422, True)
    assert reads_at(door) == {file.file_id}


def test_the_log_has_one_entry_for_a_schedule_that_an_admin_deletes_on_the_page(door: Door) -> None:
    alice = door.bearer()
    plan = {"job_type": "reverse-text", "params": {"text": "x"}, "cron": "0 6 * * *"}
    made = door.anybody().post("/api/v1/schedules", headers=alice, json=plan).get_json()
    admin = door.browser("admin")
    form = {"csrf_token": admin.csrf_token}
    admin.client.post(f"/schedules/{made['schedule_id']}/delete", data=form)
    log = door.anybody().get("/api/v1/audit?user_id=admin", headers=door.bearer("admin")).get_json()["entries"]
    acts = [(entry["action"], entry["subject"]) for entry in log]
    assert ("schedules.delete", made["schedule_id"]) in acts
    assert ("admin-read", made["schedule_id"]) not in acts


def test_a_refused_read_is_not_in_the_log(alice: Person, admin: Person) -> None:
    file_id = upload(alice)
    assert admin.get(f"/api/v1/files/{file_id}?unknown=1").status_code == 422
    assert entries(admin, action="admin-read") == []


def test_forbidden_requests_are_logged_and_invalid_ones_are_not(alice: Person, admin: Person) -> None:
    alice.delete("/api/v1/users/admin")
    alice.post("/api/v1/jobs/noop", json={"unknown": 1})

    assert [(entry["action"], entry["status"]) for entry in entries(admin, user_id="alice")] == [("delete-user", 403)]


def test_only_admins_read_the_audit_log(alice: Person, stranger: FlaskClient) -> None:
    assert alice.get("/api/v1/audit").status_code == 403
    assert stranger.get("/api/v1/audit").status_code == 401


def test_a_page_continues_after_the_previous_one_within_the_given_times(alice: Person, admin: Person) -> None:
    jobs = [alice.submits()["job_id"] for _ in range(5)]
    first = admin.get("/api/v1/audit?user_id=alice&limit=3").get_json()
    rest = admin.get(f"/api/v1/audit?user_id=alice&cursor={first['next_cursor']}").get_json()
    assert [entry["subject"] for entry in first["entries"] + rest["entries"]] == jobs[::-1]
    assert rest["next_cursor"] is None

    assert entries(admin, user_id="alice", before="2020-01-01T00:00:00Z") == []
    assert entries(admin, user_id="alice", after="2100-01-01T00:00:00Z") == []
    assert len(entries(admin, user_id="alice", after="2020-01-01T00:00:00Z", before="2100-01-01T00:00:00Z")) == 5


@pytest.mark.parametrize("query", ["cursor=x", "cursor=1-1-1", "limit=0", "after=yesterday", "unknown=1"])
def test_an_invalid_query_is_refused(admin: Person, query: str) -> None:
    assert admin.get(f"/api/v1/audit?{query}").status_code == 422


def test_a_request_succeeds_although_it_can_not_be_recorded_yet(alice: Person, services: Services) -> None:
    connection = services.client.store.connection
    connection.set(KEY, "a string, so nothing can be added to it")
    job = alice.submits()
    services.audit.flush()
    connection.delete(KEY)
    services.audit.flush()
    assert [entry.act.subject for entry in services.audit.page(action="submit-job").entries] == [job["job_id"]]


def test_each_request_is_logged_to_stderr_without_its_query(
    app: Flask, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.log_requests(app)
    alice.get("/api/v1/jobs?tag=secret")

    printed: list[str] = []

    def lines() -> list[dict[str, Any]]:
        printed.append(capsys.readouterr().err)
        logged = [json.loads(line) for line in "".join(printed).splitlines() if line.startswith('{"at"')]
        return [line for line in logged if line["path"] == "/api/v1/jobs"]

    [line] = eventually(lines, "the request is logged")
    assert (line["method"], line["status"], line["user_id"]) == ("GET", 200, "alice")
    assert "secret" not in json.dumps(line)
