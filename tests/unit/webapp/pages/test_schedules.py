"""Schedules on their pages, without JavaScript."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobs.engine.client.schedule import Plan, Schedule
from jobs.engine.client.schedules import Schedules
from tests.unit.webapp.door import Browser, Door

SAME_SITE = {"Origin": "http://localhost"}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, {"max_active_jobs_per_user": 1})


@pytest.fixture
def browser(door: Door) -> Browser:
    return door.browser()


@pytest.fixture
def schedule(door: Door, browser: Browser) -> Schedule:
    return Schedules(door.client).create("alice", Plan("reverse-text", {"text": SCRIPT}, "0 6 * * *"))


def send(browser: Browser, schedule: Schedule, verb: str, **form: Any) -> TestResponse:
    form["csrf_token"] = browser.csrf_token
    return browser.client.post(f"/schedules/{schedule.schedule_id}/{verb}", data=form, headers=SAME_SITE)


def followed(browser: Browser, answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    return browser.client.get(answer.headers["Location"]).text


def found(door: Door, schedule: Schedule) -> Schedule:
    return Schedules(door.client).find(schedule.schedule_id)


def test_the_list_leads_to_the_page_of_a_schedule(browser: Browser, schedule: Schedule) -> None:
    listed = browser.client.get("/schedules").text
    assert f'href="/schedules/{schedule.schedule_id}"' in listed
    shown = browser.client.get(f"/schedules/{schedule.schedule_id}").text
    assert "It has not run yet." in shown
    assert SCRIPT not in listed + shown
    assert html.escape(SCRIPT) in listed


def test_a_schedule_is_paused_with_a_reason_and_an_end_and_resumed(
    door: Door, browser: Browser, schedule: Schedule
) -> None:
    page = followed(browser, send(browser, schedule, "pause", reason=f"{SCRIPT} month end", until="2090-01-31T12:00"))
    assert "The schedule was paused." in page
    assert SCRIPT not in page
    assert "by alice, until" in page and "2090-01-31 12:00:00" in page
    pause = found(door, schedule).paused
    assert pause and pause.reason == f"{SCRIPT} month end"

    assert "Resume" in browser.client.get("/schedules").text
    assert "The schedule was resumed." in followed(browser, send(browser, schedule, "resume"))
    assert found(door, schedule).paused is None


def test_one_button_pauses_without_a_reason(door: Door, browser: Browser, schedule: Schedule) -> None:
    page = followed(browser, send(browser, schedule, "pause"))
    assert "when it is resumed" in page
    assert found(door, schedule).paused


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"until": "2020-01-31T12:00"}, "this time has passed"),
        ({"until": "soon"}, "expected an RFC 3339 time"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "does not exist or is out of range"),
        ({"reason": "x" * 10_000}, "at most 500 characters"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_invalid_pause_is_marked_in_the_form(
    door: Door, browser: Browser, schedule: Schedule, form: dict[str, str], message: str
) -> None:
    answer = send(browser, schedule, "pause", **form)
    assert answer.status_code == 422
    assert message in answer.text
    assert "Please correct the marked fields" in answer.text
    assert found(door, schedule).paused is None


def test_a_schedule_is_edited(door: Door, browser: Browser, schedule: Schedule) -> None:
    form = {"cron": "30 7 * * *", "timezone": "Europe/Berlin", "overlap": "wait", "catch_up": "all"}
    page = followed(browser, send(browser, schedule, "edit", **form, params='{"text": "new"}'))
    assert "The schedule was changed." in page
    plan = found(door, schedule).plan
    assert (plan.cron, plan.timezone, plan.overlap, plan.catch_up) == tuple(form.values())
    assert plan.params == {"text": "new"}
    assert re.search(r'<option value="wait" selected>', page)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"cron": "61 * * * *"}, "this cron line is not valid"),
        ({"timezone": "Mars/Olympus"}, "this time zone does not exist"),
        ({"params": "{"}, "This is not JSON"),
        ({"params": "[]"}, "dictionary"),
        ({"params": '{"text": 5}'}, "text: "),
        ({"params": r'{"text": "\ud800"}'}, "text: contains NUL or a lone surrogate"),
    ],
    ids=str,
)
def test_an_invalid_change_is_marked_in_the_form_and_changes_nothing(
    door: Door, browser: Browser, schedule: Schedule, form: dict[str, str], message: str
) -> None:
    answer = send(browser, schedule, "edit", **form)
    assert answer.status_code == 422
    assert message in answer.text
    ((name, text),) = form.items()
    assert f'id="option-{name}-error"' in answer.text
    assert html.escape(text).replace("&quot;", "&#34;") in answer.text
    assert found(door, schedule).plan == schedule.plan


def test_an_unknown_choice_is_refused(browser: Browser, schedule: Schedule) -> None:
    answer = send(browser, schedule, "edit", overlap="perhaps")
    assert answer.status_code == 422
    assert 'id="option-overlap-error"' in answer.text


def test_running_a_schedule_leads_to_its_job_and_respects_the_limit(
    door: Door, browser: Browser, schedule: Schedule
) -> None:
    answer = send(browser, schedule, "run")
    job_id = answer.headers["Location"].removeprefix("/jobs/")
    assert "The job was submitted." in followed(browser, answer)
    assert door.client.find(job_id).user_id == "alice"
    shown = browser.client.get(f"/schedules/{schedule.schedule_id}").text
    assert "manual" in shown and f'href="/jobs/{job_id}"' in shown
    assert "You have 1 unfinished jobs" in followed(browser, send(browser, schedule, "run"))


def test_other_users_see_and_change_nothing(door: Door, schedule: Schedule) -> None:
    bob = door.browser("bob")
    assert bob.client.get(f"/schedules/{schedule.schedule_id}").status_code == 403
    for verb in ("edit", "pause", "resume", "run", "delete"):
        assert send(bob, schedule, verb).status_code == 403


def test_a_form_from_another_site_is_refused(door: Door, browser: Browser, schedule: Schedule) -> None:
    for verb in ("edit", "pause", "resume", "run", "delete"):
        assert browser.client.post(f"/schedules/{schedule.schedule_id}/{verb}", data={}).status_code == 403
    assert found(door, schedule) == schedule


def test_a_schedule_is_created_with_an_overlap_and_a_way_to_catch_up(door: Door, browser: Browser) -> None:
    form = {"/text": "hi", "cron": "0 6 * * *", "overlap": "skip", "catch_up": "none", "do": "schedule"}
    place = "/submit/reverse-text"
    made = browser.client.post(place, data={"csrf_token": browser.csrf_token, **form}, headers=SAME_SITE)
    assert made.status_code == 303
    (plan,) = [each.plan for each in Schedules(door.client).of_user("alice")]
    assert (plan.overlap, plan.catch_up) == ("skip", "none")
    data = {"csrf_token": browser.csrf_token, **form, "overlap": "perhaps"}
    refused = browser.client.post(place, data=data, headers=SAME_SITE)
    assert refused.status_code == 422
    assert "choose one of allow, skip, wait" in refused.text
