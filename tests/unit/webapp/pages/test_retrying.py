"""Retrying jobs on their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.webapp.door import Browser, Door

SAME_SITE = {"Origin": "http://localhost"}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, {"max_active_jobs_per_user": 2})


def message_after(browser: Browser, place: str, **form: object) -> str:
    answer = browser.client.post(place, data={"csrf_token": browser.csrf_token, **form}, headers=SAME_SITE)
    assert answer.status_code == 303
    return browser.client.get(answer.headers["Location"]).text


def cancelled_job(door: Door) -> str:
    return door.client.cancel(door.submit().job_id).job_id


def test_a_retry_above_the_limit_of_active_jobs_is_refused_with_the_reason(door: Door) -> None:
    browser, job_id = door.browser(), cancelled_job(door)
    door.submit(), door.submit()

    page = message_after(browser, f"/jobs/{job_id}/retry")

    assert "has 2 unfinished jobs, and the limit is 2" in page
    assert door.client.find(job_id).status == "cancelled"


def test_many_retries_stop_at_the_limit_of_active_jobs_with_the_reason(door: Door) -> None:
    browser, job_ids = door.browser(), [cancelled_job(door) for _ in range(3)]

    page = message_after(browser, "/jobs", job_id=job_ids, do="retry")

    assert "2 of 3 selected jobs queued again. 1 skipped: " in page
    assert "has 2 unfinished jobs, and the limit is 2" in page
