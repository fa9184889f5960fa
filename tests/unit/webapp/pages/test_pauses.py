"""Administrators pause and resume queues and job types on the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from jobs.engine.operate.control import Control, Pauses
from tests.unit.webapp.door import Browser, Door

SAME_SITE = {"Origin": "http://localhost"}
QUEUE, TYPE = "/overview/queues/high", "/submit/reverse-text"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture
def admin(door: Door) -> Browser:
    return door.browser("admin")


def sends(browser: Browser, place: str, **form: str) -> TestResponse:
    return browser.client.post(place, data={"csrf_token": browser.csrf_token, **form}, headers=SAME_SITE)


def pauses(door: Door) -> Pauses:
    return Control(door.client.store).pauses()


def test_a_queue_is_paused_with_a_form_and_resumed_with_a_button(door: Door, admin: Browser) -> None:
    assert 'href="/overview/queues/high/pause"' in admin.client.get("/overview").text
    assert "Pause queue high" in admin.client.get(f"{QUEUE}/pause").text
    answer = sends(admin, f"{QUEUE}/pause", reason="<b>Disk</b> full", until="2100-01-31T12:00")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/overview")
    pause = pauses(door).of_queue("high")
    assert pause
    assert (pause.by, pause.reason) == ("admin", "<b>Disk</b> full")
    assert pause.until == datetime(2100, 1, 31, 12, 0, tzinfo=UTC)
    page = admin.client.get("/overview").text
    assert "Paused: queue high. Running jobs finish." in page
    assert "Reason: &lt;b&gt;Disk&lt;/b&gt; full" in page

    assert f'action="{QUEUE}/resume"' in page
    assert sends(admin, f"{QUEUE}/resume").status_code == 303
    assert pauses(door).of_queue("high") is None


def test_a_job_type_is_paused_on_its_page_and_everyone_sees_it(door: Door, admin: Browser) -> None:
    assert sends(admin, f"{TYPE}/pause", reason="Broken model", until="").headers["Location"] == TYPE
    page = door.browser("alice").client.get(TYPE).text
    assert "New jobs of this type wait. It has been paused since" in page
    assert "Reason: Broken model" in page
    assert "Resume this job type" not in page
    assert "Resume this job type" in admin.client.get(TYPE).text
    assert "paused" in admin.client.get("/").text
    sends(admin, f"{TYPE}/resume")
    assert pauses(door).of_job_type("reverse-text") is None


def test_a_job_type_whose_code_is_gone_is_resumed_on_the_overview(door: Door, admin: Browser) -> None:
    Control(door.client.store).pause_job_type("gone", "admin", "Broken", None)
    assert "Resume job type gone" in admin.client.get("/overview").text
    assert sends(admin, "/submit/gone/resume").headers["Location"] == "/overview"
    assert pauses(door).of_job_types == {}


@pytest.mark.parametrize(("name", "value"), [("until", "2020-01-31T12:00"), ("until", "soon"), ("reason", "x" * 501)])
def test_a_wrong_field_is_shown_again_with_the_error_beside_it(
    door: Door, admin: Browser, name: str, value: str
) -> None:
    answer = sends(admin, f"{QUEUE}/pause", **{name: value})
    assert answer.status_code == 422
    assert f'id="{name}-error"' in answer.text
    assert value in answer.text
    assert pauses(door).of_queue("high") is None


def test_a_queue_that_is_paused_with_its_priority_has_no_button_of_its_own(door: Door, admin: Browser) -> None:
    door.connection.sadd("rq:queues", "rq:queue:high@gpu", "rq:queue:emails")
    sends(admin, f"{QUEUE}/pause")
    page = admin.client.get("/overview").text
    assert "Queue <code>high@gpu</code>: paused since" in page
    assert "/overview/queues/high@gpu/" not in page
    assert "/overview/queues/emails/" not in page
    sends(admin, f"{QUEUE}/resume")
    assert 'href="/overview/queues/high@gpu/pause"' in admin.client.get("/overview").text


@pytest.mark.parametrize("place", [f"{QUEUE}/pause", f"{QUEUE}/resume", f"{TYPE}/pause", f"{TYPE}/resume"])
def test_only_administrators_pause_and_resume(door: Door, place: str) -> None:
    browser = door.browser("alice")
    assert sends(browser, place).status_code == 403
    assert browser.client.get("/").text.count("paused") == 0


def test_what_does_not_exist_can_not_be_paused(admin: Browser) -> None:
    for place in ("/overview/queues/nothing", "/submit/nothing"):
        assert [sends(admin, f"{place}/{verb}").status_code for verb in ("pause", "resume")] == [404, 404]
        assert admin.client.get(f"{place}/pause").status_code == 404


def test_a_pause_needs_the_token_of_the_form(door: Door, admin: Browser) -> None:
    assert admin.client.post(f"{QUEUE}/pause", headers=SAME_SITE).status_code in (400, 403)
    assert pauses(door).of_queue("high") is None
