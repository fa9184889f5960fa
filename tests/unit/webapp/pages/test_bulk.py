"""A page confirms an action on all jobs that match."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.bulk import BULK_ACTION
from jobs.engine.client.job import Job
from tests.unit.webapp.door import Browser, Door


@pytest.fixture
def door(tmp_path: Path) -> Door:
    door = Door(tmp_path)
    bulk = Catalogue.discover(["jobs.bulk_action"])
    catalogue = Catalogue([*door.client.catalogue.values(), *bulk.values()])
    door.client.catalogue = catalogue
    object.__setattr__(door.app.extensions["workhorse"], "catalogue", catalogue)
    return door


def press(browser: Browser, **form: str) -> TestResponse:
    return browser.client.post("/jobs/bulk", data={"csrf_token": browser.csrf_token, **form})


def stored(door: Door, user_id: str = "alice") -> list[Job]:
    return [job for job in door.client.page(user_id).jobs if job.job_type == BULK_ACTION]


def test_the_list_leads_to_a_page_that_asks_first(door: Door) -> None:
    browser = door.browser()
    door.client.cancel(door.submit().job_id)
    listed = browser.client.get("/jobs?status=cancelled&tag=x%26y").text
    assert "No jobs match" in listed
    listed = browser.client.get("/jobs?status=cancelled").text
    (address,) = re.findall(r'href="([^"]+)">retry</a>', listed)
    page = browser.client.get(html.unescape(address)).text
    assert "Retry all jobs that match?" in page
    assert "<option selected>cancelled</option>" in page
    assert stored(door) == []


def test_a_confirmed_action_is_a_job(door: Door) -> None:
    browser = door.browser()
    form = {"do": "delete", "status": "failed", "error": " well dry ", "created_after": "2030-01-31T12:00", "tag": ""}
    answer = press(browser, **form)
    (job,) = stored(door)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job.job_id}")
    conditions = {"status": "failed", "error": "well dry", "created_after": "2030-01-31T12:00:00.000000Z"}
    assert job.params == {"action": "delete", "filter": conditions}
    assert browser.client.get(f"/jobs/{job.job_id}").status_code == 200


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_can_not_show_is_sent_as_it_is(door: Door, time: str) -> None:
    assert press(door.browser(), do="retry", created_after=time).status_code == 303
    (job,) = stored(door)
    assert job.params["filter"] == {"created_after": time}


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({}, "set at least one condition"),
        ({"status": "done"}, "status: "),
        ({"created_after": "soon"}, "created_after: "),
        ({"user_id": "bob"}, "Only administrators"),
    ],
)
def test_an_action_that_is_not_valid_is_refused_with_the_reason(door: Door, form: dict[str, str], reason: str) -> None:
    browser = door.browser()
    answer = press(browser, do="cancel", **form)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/jobs/bulk?")
    assert stored(door) == []
    if "user_id" not in form:
        assert reason in html.unescape(browser.client.get(answer.headers["Location"]).text)


def test_only_administrators_open_the_page_for_another_user(door: Door) -> None:
    assert door.browser().client.get("/jobs/bulk?user_id=bob").status_code == 403
    assert door.browser("admin").client.get("/jobs/bulk?user_id=bob&do=cancel").status_code == 200


def test_a_forged_form_is_refused(door: Door) -> None:
    answer = door.browser().client.post("/jobs/bulk", data={"do": "delete", "status": "failed"})
    assert answer.status_code == 403
    assert stored(door) == []
