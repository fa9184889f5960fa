"""Tokens, users and API keys over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.webapp.door import PASSWORD, Door

NEW = {"username": "Carol", "email": "carol@example.com", "password": PASSWORD}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture
def open_door(tmp_path: Path) -> Door:
    return Door(tmp_path, {"registration": "open"})


def pointers(answer: Any) -> list[str]:
    return [fault["pointer"] for fault in answer.json["errors"]]


# --- tokens ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["json", "data"])
def test_a_token_is_issued_for_a_password(door: Door, how: str) -> None:
    door.register()
    answer = door.anybody().post("/api/v1/token", **{how: {"username": "alice", "password": PASSWORD}})
    assert answer.status_code == 200 and answer.json is not None
    assert answer.json["token_type"] == "bearer" and answer.json["expires_in"] == 3600
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert door.anybody().get("/api/v1/users/me", headers=headers).status_code == 200


def test_a_wrong_password_and_an_unknown_name_look_the_same(door: Door) -> None:
    door.register()
    answers = [
        door.anybody().post("/api/v1/token", json={"username": name, "password": "wrong password"})
        for name in ("alice", "nobody", "\u00e4", "a:b")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.data for answer in answers}) == 1


def test_failed_sign_ins_are_limited_by_name(door: Door) -> None:
    door.register()
    wrong = {"username": "alice", "password": "wrong password"}
    statuses = [door.anybody().post("/api/v1/token", json=wrong).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    answer = door.anybody().post("/api/v1/token", json=wrong | {"password": PASSWORD})
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"username": "alice"}}, 422),
        ({"json": {"username": "alice", "password": 1}}, 422),
        ({"json": {"username": "alice", "password": "x", "admin": True}}, 422),
        ({"json": []}, 422),
        ({"data": {"username": "alice"}}, 422),
        ({"data": {"username": "alice", "password": "x", "admin": "1"}}, 422),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"x", "content_type": "text/plain"}, 415),
        ({}, 415),
        ({"json": {"username": "alice", "password": "x" * 10_000}}, 413),
        ({"data": {"username": "alice", "password": "x" * 10_000}}, 413),
        ({"json": {"username": "alice", "password": "x"}, "query_string": "a=b"}, 422),
    ],
    ids=str,
)
def test_a_malformed_request_for_a_token_is_refused(door: Door, sent: dict[str, Any], status: int) -> None:
    assert door.anybody().post("/api/v1/token", **sent).status_code == status


def test_fields_that_oauth_clients_add_are_ignored(door: Door) -> None:
    door.register()
    form = {"grant_type": "password", "scope": "", "username": "alice", "password": PASSWORD}
    assert door.anybody().post("/api/v1/token", data=form).status_code == 200


# --- registration --------------------------------------------------------------------------


def test_only_admins_register_users_if_registration_is_closed(door: Door) -> None:
    assert door.anybody().post("/api/v1/users", json=NEW).status_code == 401
    assert door.anybody().post("/api/v1/users", json=NEW, headers=door.bearer()).status_code == 403
    answer = door.anybody().post("/api/v1/users", json=NEW, headers=door.bearer("admin"))
    assert answer.status_code == 201 and answer.json is not None
    assert answer.json["username"] == "carol" and answer.json["roles"] == ["user"]
    assert "password" not in answer.text


def test_anyone_may_register_if_registration_is_open(open_door: Door) -> None:
    assert open_door.anybody().post("/api/v1/users", json=NEW).status_code == 201
    again = open_door.anybody().post("/api/v1/users", json=NEW | {"email": "other@example.com"})
    assert again.status_code == 409


def test_a_bad_key_is_refused_although_registration_is_open(open_door: Door) -> None:
    headers = {"Authorization": "Bearer wrong"}
    assert open_door.anybody().post("/api/v1/users", json=NEW, headers=headers).status_code == 401


def test_strangers_who_register_are_limited_by_address(open_door: Door) -> None:
    for _ in range(100):
        open_door.anybody().post("/api/v1/users", json=NEW | {"password": ""})
    assert open_door.anybody().post("/api/v1/users", json=NEW).status_code == 429
    assert open_door.anybody().post("/api/v1/users", json=NEW, headers=open_door.bearer("admin")).status_code == 201


def test_a_registration_can_not_make_an_admin(open_door: Door) -> None:
    for extra in ({"roles": ["admin"]}, {"is_admin": True}):
        answer = open_door.anybody().post("/api/v1/users", json=NEW | extra)
        assert answer.status_code == 422 and pointers(answer) == [f"/{next(iter(extra))}"]


def test_all_errors_of_a_registration_are_reported_at_once(open_door: Door) -> None:
    answer = open_door.anybody().post("/api/v1/users", json={"username": "a b", "email": "a\r\nb@c.d", "password": "x"})
    assert answer.status_code == 422
    assert pointers(answer) == ["/username", "/email", "/password"]


def test_a_new_user_is_welcomed_by_a_job(open_door: Door) -> None:
    open_door.anybody().post("/api/v1/users", json=NEW)
    (job,) = open_door.client.page("carol").jobs
    assert job.job_type == "send-welcome-email"
    assert job.params == {"username": "carol", "email": "carol@example.com"}


# --- users -------------------------------------------------------------------------------------


def test_a_user_reads_their_own_record(door: Door) -> None:
    answer = door.anybody().get("/api/v1/users/me", headers=door.bearer())
    assert answer.json is not None
    assert answer.json["user_id"] == "alice" and answer.json["email"] == "alice@example.com"
    assert answer.json["limits"]["max_active_jobs"] == 1_000
    assert answer.json["usage"]["last_request_at"].endswith("Z")
    assert set(answer.json["usage"]["jobs"]) == {"pending", "running", "completed", "failed", "cancelled"}


def test_a_user_deletes_their_own_account(door: Door) -> None:
    headers = door.bearer()
    assert door.anybody().delete("/api/v1/users/alice", headers=headers).status_code == 204
    assert door.anybody().get("/api/v1/users/me", headers=headers).status_code == 401


def test_users_can_not_delete_others_nor_learn_who_exists(door: Door) -> None:
    headers = door.bearer()
    door.register("bob")
    for name in ("bob", "nobody", "admin"):
        assert door.anybody().delete(f"/api/v1/users/{name}", headers=headers).status_code == 403


def test_an_admin_deletes_users_but_not_the_last_admin(door: Door) -> None:
    door.register()
    for name, status in (("alice", 204), ("alice", 404), ("a:b", 404), ("admin", 409), ("me", 409)):
        answer = door.anybody().delete(f"/api/v1/users/{name}", headers=door.bearer("admin"))
        assert answer.status_code == status, name


def test_the_jobs_of_a_deleted_user_are_deleted(door: Door) -> None:
    headers = door.bearer()
    job = door.submit()
    door.anybody().delete("/api/v1/users/alice", headers=headers)
    door.register()
    assert door.client.page("alice").jobs == []
    assert door.anybody().get(job.poll_url, headers=door.bearer("admin")).status_code == 404


# --- API keys ------------------------------------------------------------------------------------


def test_a_key_is_shown_once(door: Door) -> None:
    headers = door.bearer()
    made = door.anybody().post("/api/v1/api-keys", json={"name": "laptop"}, headers=headers)
    assert made.status_code == 201 and made.json is not None
    assert set(made.json) == {"id", "name", "key", "created_at"}
    listed = door.anybody().get("/api/v1/api-keys", headers=headers)
    assert made.json["key"] not in listed.text and listed.json is not None
    assert listed.json["next_cursor"] is None
    assert {"id": made.json["id"], "name": "laptop", "created_at": made.json["created_at"]} in listed.json["api_keys"]


def test_a_revoked_key_is_refused(door: Door) -> None:
    headers = door.bearer()
    made = door.anybody().post("/api/v1/api-keys", headers=headers).json
    assert made is not None
    own = {"Authorization": f"Bearer {made['key']}"}
    assert door.anybody().get("/api/v1/users/me", headers=own).status_code == 200
    assert door.anybody().delete(f"/api/v1/api-keys/{made['id']}", headers=headers).status_code == 204
    assert door.anybody().get("/api/v1/users/me", headers=own).status_code == 401
    assert door.anybody().delete(f"/api/v1/api-keys/{made['id']}", headers=headers).status_code == 404


def test_another_user_s_key_is_not_found(door: Door) -> None:
    door.bearer()
    key = door.accounts.keys("alice")[0]
    assert door.anybody().delete(f"/api/v1/api-keys/{key.id}", headers=door.bearer("bob")).status_code == 404
    assert door.accounts.keys("alice") == [key]


@pytest.mark.parametrize("fields", [{"name": "x" * 101}, {"name": "a\r\nb"}, {"name": 1}, {"user_id": "bob"}], ids=str)
def test_a_key_with_an_invalid_field_is_not_created(door: Door, fields: dict[str, Any]) -> None:
    headers = door.bearer()
    assert door.anybody().post("/api/v1/api-keys", json=fields, headers=headers).status_code == 422
    assert len(door.accounts.keys("alice")) == 1
