"""Schedules over HTTP, and the jobs of their ticks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.schedules import MAX_PER_USER, Schedules
from jobs.engine.client.ticks import UNREADABLE, Ticks

SCHEDULES = "/api/v1/schedules"
NIGHTLY = {"job_type": "echo", "params": {"text": "hi"}, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}


@pytest.fixture
def schedules(services) -> Schedules:
    return Schedules(services.client)


@pytest.fixture
def ticks(services) -> Ticks:
    return Ticks(services.client)


def overdue(services, schedule: dict[str, Any], tick: int = 1_000_000_020) -> None:
    services.client.store.connection.zadd("wh:schedules", {schedule["schedule_id"]: tick})


def jobs_of(services, user: str = "alice") -> list[Any]:
    return list(services.client.page(user).jobs)


def test_a_schedule_is_stored_shown_listed_and_deleted(alice):
    answer = alice.post(SCHEDULES, json=NIGHTLY)
    schedule = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{SCHEDULES}/{schedule['schedule_id']}"
    assert {name: schedule[name] for name in NIGHTLY} == NIGHTLY
    assert schedule["next_run_at"].endswith(("T00:30:00.000000Z", "T01:30:00.000000Z"))
    assert (schedule["last_run_at"], schedule["last_job_id"], schedule["problem"]) == (None, None, None)
    assert alice.get(answer.headers["Location"]).get_json() == schedule
    assert alice.get(SCHEDULES).get_json() == {"schedules": [schedule], "next_cursor": None}

    assert alice.delete(answer.headers["Location"]).status_code == 204
    assert alice.get(SCHEDULES).get_json()["schedules"] == []
    assert alice.delete(answer.headers["Location"]).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": "0 0 30 2 *"}, "/cron"),
        ({"cron": "* * * * * *"}, "/cron"),
        ({"cron": 5}, "/cron"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"job_type": "ecko"}, "/job_type"),
        ({"params": {"text": 1}}, "/params/text"),
        ({"user_id": "bob"}, "/user_id"),
    ],
    ids=str,
)
def test_an_invalid_schedule_is_refused_with_a_pointer(alice, change, pointer):
    answer = alice.post(SCHEDULES, json=NIGHTLY | change)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]
    assert alice.get(SCHEDULES).get_json()["schedules"] == []


def test_only_its_owner_and_admins_see_a_schedule(alice, bob, admin, stranger):
    address = alice.post(SCHEDULES, json=NIGHTLY).headers["Location"]
    assert bob.get(address).status_code == bob.delete(address).status_code == 403
    assert stranger.get(address).status_code == 401
    assert bob.get(SCHEDULES).get_json()["schedules"] == []
    assert admin.get(address).status_code == 200


def test_the_schedules_of_a_user_are_limited(alice, services):
    for number in range(MAX_PER_USER):
        services.client.store.connection.sadd("wh:schedules:alice", f"s{number}")
    answer = alice.post(SCHEDULES, json=NIGHTLY)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "too_many_schedules")


def test_a_tick_submits_one_job_however_many_hosts_see_it(alice, services, schedules, ticks, monkeypatch):
    schedule = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    overdue(services, schedule)
    found = services.client.store.schedules.due(10)
    # Another host has seen the same tick at the same time.
    monkeypatch.setattr(services.client.store.schedules, "due", lambda _at_most: found)

    assert [ticks.run_due(), ticks.run_due(), Ticks(services.client).run_due()] == [1, 0, 0]

    (job,) = jobs_of(services)
    assert (job.job_type, job.params, job.user_id) == ("echo", {"text": "hi"}, "alice")
    shown = alice.get(f"{SCHEDULES}/{schedule['schedule_id']}").get_json()
    assert (shown["last_job_id"], shown["next_run_at"]) == (job.job_id, schedule["next_run_at"])


def test_missed_ticks_submit_one_job(alice, services, ticks):
    schedule = alice.post(SCHEDULES, json=NIGHTLY | {"cron": "* * * * *"}).get_json()
    overdue(services, schedule)  # many years of missed minutes

    assert [ticks.run_due(), ticks.run_due()] == [1, 0]
    assert len(jobs_of(services)) == 1


def test_a_tick_that_comes_twice_does_not_overwrite_the_earlier_job(alice, services, ticks):
    schedule = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    for _ in range(2):  # as if the broker's clock was set back
        overdue(services, schedule)
        ticks.run_due()
    assert len({job.job_id for job in jobs_of(services)}) == 2


def test_a_schedule_of_an_unknown_job_type_reports_a_problem_and_delays_no_other(alice, services):
    gone = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    fine = alice.post(SCHEDULES, json={"job_type": "noop", "cron": "@hourly"}).get_json()
    overdue(services, gone, 1_000_000_000)
    overdue(services, fine, 1_000_000_020)
    known = [each for each in services.catalogue.values() if each.name != "echo"]
    deployed = Client(services.client.store.connection, services.settings, Catalogue(known))

    assert Ticks(deployed).run_due() == 1

    assert [job.job_type for job in jobs_of(services)] == ["noop"]
    shown = alice.get(f"{SCHEDULES}/{gone['schedule_id']}").get_json()
    assert "The job type 'echo' does not exist" in shown["problem"]
    assert shown["next_run_at"] == gone["next_run_at"]


def test_an_unreadable_schedule_is_postponed_and_reported(alice, services, schedules, ticks):
    bad = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    fine = alice.post(SCHEDULES, json={"job_type": "noop", "cron": "@hourly"}).get_json()
    plan = {"job_type": "echo", "params": {}, "cron": "nonsense", "timezone": "UTC"}
    record = json.dumps(plan | {"created_at": "2026-01-01T00:00:00Z"})
    services.client.store.connection.hset(f"wh:schedule:{bad['schedule_id']}", "record", record)
    overdue(services, bad, 1_000_000_000)
    overdue(services, fine)

    assert ticks.run_due() == 1
    assert schedules.find(bad["schedule_id"]).problem == UNREADABLE


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_a_schedule_of_a_user_with_too_many_active_jobs_skips_the_tick_and_says_so(alice, services, ticks):
    active = alice.submits()
    schedule = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    overdue(services, schedule)

    assert ticks.run_due() == 0
    assert len(jobs_of(services)) == 1
    assert "unfinished jobs" in alice.get(f"{SCHEDULES}/{schedule['schedule_id']}").get_json()["problem"]

    alice.delete(active["poll_url"])
    overdue(services, schedule)
    assert ticks.run_due() == 1
    assert alice.get(f"{SCHEDULES}/{schedule['schedule_id']}").get_json()["problem"] is None


def test_the_schedules_of_a_deleted_user_are_deleted(alice, admin, services, ticks):
    schedule = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    assert admin.delete("/api/v1/users/alice").status_code == 204

    assert services.client.store.connection.keys("wh:schedule*") == []
    assert ticks.run_due() == 0
    assert admin.get(f"{SCHEDULES}/{schedule['schedule_id']}").status_code == 404


def test_a_schedule_without_its_user_is_deleted_at_its_next_tick(alice, services, ticks):
    schedule = alice.post(SCHEDULES, json=NIGHTLY).get_json()
    services.client.store.connection.delete("wh:user:alice")
    overdue(services, schedule)

    assert ticks.run_due() == 0
    assert services.client.store.connection.keys("wh:schedule*") == []
