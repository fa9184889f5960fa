"""Schedules over HTTP: edit, pause, resume and run them, and their last ticks."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.engine.client.ticks import Ticks
from jobs.engine.times import rfc3339
from tests.unit.webapp.conftest import Person

SCHEDULES = "/api/v1/schedules"
PLAN = {"job_type": "echo", "params": {"text": "hi"}, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def address(alice: Person) -> str:
    return str(alice.post(SCHEDULES, json=PLAN).headers["Location"])


def edit(person: Person, address: str, **changes: Any) -> Any:
    return person("PATCH", address, json=changes)


def pause(person: Person, address: str, **options: Any) -> Any:
    return person("PUT", f"{address}/pause", json=options)


def outcomes(person: Person, address: str) -> list[str]:
    return [run["outcome"] for run in person.get(f"{address}/runs").get_json()["runs"]]


def acts(admin: Person) -> list[tuple[str, str, str]]:
    entries = admin.get("/api/v1/audit").get_json()["entries"]
    return [(entry["action"], entry["user_id"], entry["subject"]) for entry in entries]


# --- overlap and missed ticks ----------------------------------------------------------------


def test_a_schedule_allows_overlaps_and_makes_up_with_one_job_by_default(alice, address):
    shown = alice.get(address).get_json()
    assert (shown["overlap"], shown["catch_up"], shown["paused"], shown["user_id"]) == ("allow", "one", None, "alice")


def test_overlap_and_catch_up_are_chosen_when_a_schedule_is_created(alice):
    answer = alice.post(SCHEDULES, json=PLAN | {"overlap": "wait", "catch_up": "none"})
    assert answer.status_code == 201
    assert (answer.get_json()["overlap"], answer.get_json()["catch_up"]) == ("wait", "none")


@pytest.mark.parametrize("field", ["overlap", "catch_up"])
@pytest.mark.parametrize("value", ["sometimes", None, 1])
def test_an_unknown_choice_is_refused(alice, address, field, value):
    for answer in (alice.post(SCHEDULES, json=PLAN | {field: value}), edit(alice, address, **{field: value})):
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [f"/{field}"]


def test_the_last_ticks_are_listed_newest_first(alice, services):
    made = alice.post(SCHEDULES, json=PLAN | {"cron": "0 0 1 1 *", "overlap": "skip"}).get_json()
    address = f"{SCHEDULES}/{made['schedule_id']}"
    assert alice.get(f"{address}/runs").get_json() == {"runs": []}
    ticks = [int(time.time()) - 3, int(time.time()) - 2]
    for tick in ticks:
        services.client.store.connection.zadd("wh:schedules", {made["schedule_id"]: tick})
        Ticks(services.client).run_due()

    skipped, started = alice.get(f"{address}/runs").get_json()["runs"]
    assert [each["due_at"] for each in (started, skipped)] == [
        rfc3339(datetime.fromtimestamp(tick, UTC)) for tick in ticks
    ]
    assert (started["outcome"], skipped["outcome"], skipped["job_id"]) == ("started", "skipped", None)
    assert alice.get(f"/api/v1/jobs/{started['job_id']}").status_code == 200


# --- edit --------------------------------------------------------------------------------------


def test_only_the_sent_fields_change(alice, address):
    before = alice.get(address).get_json()
    answer = edit(alice, address, overlap="skip")
    assert answer.status_code == 200
    assert answer.get_json() == before | {"overlap": "skip"} == alice.get(address).get_json()
    assert edit(alice, address).get_json() == before | {"overlap": "skip"}


def test_a_new_cron_line_moves_the_next_tick(alice, address):
    changed = edit(alice, address, cron="* * * * *", timezone="UTC").get_json()
    left = datetime.fromisoformat(changed["next_run_at"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": ""}, "/cron"),
        ({"cron": None}, "/cron"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"job_type": "ecko"}, "/job_type"),
        ({"job_type": "noop"}, "/params/text"),
        ({"params": {"text": 1}}, "/params/text"),
        ({"params": None}, "/params"),
        ({"schedule_id": "x"}, "/schedule_id"),
    ],
    ids=str,
)
def test_an_invalid_change_is_refused_with_a_pointer_and_changes_nothing(alice, address, change, pointer):
    before = alice.get(address).get_json()
    answer = edit(alice, address, **change)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]
    assert alice.get(address).get_json() == before


def test_job_type_and_parameters_change_together(alice, address):
    changed = edit(alice, address, job_type="noop", params={}).get_json()
    assert (changed["job_type"], changed["params"]) == ("noop", {})


def test_a_schedule_with_outdated_parameters_can_be_paused_and_repaired(alice, address, services):
    key = f"wh:schedule:{address.rpartition('/')[2]}"
    record = json.loads(services.client.store.connection.hget(key, "record"))
    services.client.store.connection.hset(key, "record", json.dumps(record | {"params": {"words": "hi"}}))
    assert pause(alice, address).status_code == 200
    refused = alice.post(f"{address}/run")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "conflict")
    assert edit(alice, address, params={"text": "hi"}).status_code == 200
    assert alice.post(f"{address}/run").status_code == 202


# --- pause and resume ----------------------------------------------------------------------------


def test_a_schedule_is_paused_and_resumed(alice, address):
    next_run_at = alice.get(address).get_json()["next_run_at"]
    answer = pause(alice, address, reason="month end")
    assert answer.status_code == 200
    paused = answer.get_json()["paused"]
    assert (paused["by"], paused["reason"], paused["until"]) == ("alice", "month end", None)
    assert answer.get_json()["next_run_at"] is None
    assert pause(alice, address, reason="month end").get_json() == answer.get_json()

    resumed = alice.delete(f"{address}/pause")
    assert resumed.status_code == 200
    assert (resumed.get_json()["paused"], resumed.get_json()["next_run_at"]) == (None, next_run_at)
    assert alice.delete(f"{address}/pause").get_json() == resumed.get_json()


def test_a_pause_needs_no_body(alice, address):
    answer = alice("PUT", f"{address}/pause")
    assert (answer.status_code, answer.get_json()["paused"]["reason"]) == (200, None)


def test_a_pause_can_have_an_end(alice, address):
    shown = pause(alice, address, until="2099-01-01T00:00:00+01:00").get_json()
    assert shown["paused"]["until"] == "2098-12-31T23:00:00.000000Z"
    assert shown["next_run_at"] == "2099-01-01T01:30:00.000000Z"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"until": "tomorrow"}, "/until"),
        ({"until": 4_070_908_800}, "/until"),
        ({"until": "9999-12-31T23:59:59Z"}, "/until"),
        ({"reason": "x" * 10_000}, "/reason"),
        ({"reason": 5}, "/reason"),
        ({"why": "x"}, "/why"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_pause_is_refused(alice, address, body, pointer):
    answer = pause(alice, address, **body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]
    assert alice.get(address).get_json()["paused"] is None


def test_a_reason_is_kept_as_it_was_sent(alice, address):
    assert pause(alice, address, reason=f"{SCRIPT} é 🐎").get_json()["paused"]["reason"] == f"{SCRIPT} é 🐎"


# --- run now -------------------------------------------------------------------------------------


def test_a_schedule_runs_now_also_while_it_is_paused(alice, address, services):
    next_run_at = alice.get(address).get_json()["next_run_at"]
    answer = alice.post(f"{address}/run")
    job = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (202, job["poll_url"])
    assert (job["job_type"], job["params"], job["user_id"], job["status"]) == (
        "echo",
        {"text": "hi"},
        "alice",
        "pending",
    )
    shown = alice.get(address).get_json()
    assert (shown["last_job_id"], shown["next_run_at"]) == (job["job_id"], next_run_at)

    pause(alice, address)
    assert alice.post(f"{address}/run").status_code == 202
    assert outcomes(alice, address) == ["manual", "manual"]


def test_running_now_returns_an_equal_job_as_a_submission_does(alice):
    plan = PLAN | {"job_type": "once-a-word", "params": {"word": "x"}}
    address = alice.post(SCHEDULES, json=plan).headers["Location"]
    first, again = alice.post(f"{address}/run"), alice.post(f"{address}/run")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.get_json() == first.get_json() | {"deduplicated": True}
    assert again.headers["Location"] == first.headers["Location"]
    assert outcomes(alice, address) == ["skipped", "manual"]


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_running_now_counts_against_the_limit_of_the_owner(alice, admin, address):
    assert alice.post(f"{address}/run").status_code == 202
    for person in (alice, admin):
        refused = person.post(f"{address}/run")
        assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_active_jobs")
        assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize(("method", "path"), [("POST", "/run"), ("DELETE", "/pause")])
def test_a_call_without_parameters_takes_no_body(alice, address, method, path):
    assert alice(method, address + path, json={"x": 1}).status_code == 422
    assert alice(method, f"{address}{path}?x=1").status_code == 422


# --- who may -------------------------------------------------------------------------------------

CALLS = [("PATCH", ""), ("PUT", "/pause"), ("DELETE", "/pause"), ("POST", "/run"), ("GET", "/runs")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_only_its_owner_and_admins_control_a_schedule(alice, bob, admin, stranger, address, method, path):
    body: dict[str, Any] = {"json": {}} if method in ("PATCH", "PUT") else {}
    assert bob(method, address + path, **body).status_code == 403
    assert stranger.open(address + path, method=method, **body).status_code == 401
    assert alice(method, f"{SCHEDULES}/unknown{path}", **body).get_json()["code"] == "schedule_not_found"
    assert admin(method, address + path, **body).status_code in (200, 202)


def test_a_job_that_an_admin_starts_belongs_to_the_owner(alice, admin, address):
    assert admin.post(f"{address}/run").get_json()["user_id"] == "alice"


def test_changes_are_in_the_audit_log(alice, admin, address):
    schedule_id = address.rpartition("/")[2]
    edit(admin, address, overlap="skip")
    pause(alice, address)
    alice.delete(f"{address}/pause")
    job = alice.post(f"{address}/run").get_json()
    found = acts(admin)
    for action, user, subject in (
        ("schedules.edit", "admin", schedule_id),
        ("schedules.pause", "alice", schedule_id),
        ("schedules.resume", "alice", schedule_id),
        ("schedules.run", "alice", job["job_id"]),
    ):
        assert (action, user, subject) in found


def test_an_admin_s_edit_does_not_let_the_owner_s_jobs_use_other_files(admin, address, services):
    edit(admin, address, params={"text": "by an admin"})
    record = json.loads(services.client.store.connection.hget(f"wh:schedule:{address.rpartition('/')[2]}", "record"))
    assert record["admin"] is False
