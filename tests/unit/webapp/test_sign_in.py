"""Signing in and out with a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.webapp.door import PASSWORD, Door


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_the_printed_link_signs_in_once(door: Door) -> None:
    link = f"/sign-in?token={door.accounts.sign_in.issue_link('admin')}"
    browser = door.anybody()
    answer = browser.get(link)
    assert answer.status_code == 303 and answer.headers["Location"] == "/"
    assert browser.get("/").status_code == 200
    assert door.anybody().get(link).status_code == 401
    assert browser.get(link).status_code == 303, "who is in already is not turned away"


def test_a_head_request_does_not_use_up_the_link(door: Door) -> None:
    link = f"/sign-in?token={door.accounts.sign_in.issue_link('admin')}"
    assert door.anybody().head(link).status_code == 200
    assert door.anybody().get(link).status_code == 303


def test_a_password_or_a_key_signs_in(door: Door) -> None:
    door.register()
    _, key = door.accounts.create_key("alice", "laptop")
    for form in ({"username": "Alice", "password": PASSWORD}, {"api_key": f" {key} "}):
        browser = door.anybody()
        assert browser.post("/sign-in", data=form).status_code == 303
        assert "Sign out alice" in browser.get("/").text


def test_a_session_of_a_key_ends_with_the_key(door: Door) -> None:
    door.register()
    key, secret = door.accounts.create_key("alice", "laptop")
    browser = door.anybody()
    browser.post("/sign-in", data={"api_key": secret})
    door.accounts.revoke("alice", key.id)
    assert browser.get("/").status_code == 401


def test_a_short_lived_token_does_not_become_a_long_session(door: Door) -> None:
    token, _ = door.accounts.bearers.issue_token(door.accounts.find(door.register()))
    assert door.anybody().post("/sign-in", data={"api_key": token}).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "alice", "password": "wrong password"},
        {"username": "<script>", "password": ""},
        {"api_key": "wh_x"},
    ],
)
def test_a_failed_sign_in_shows_the_form_again(door: Door, form: dict[str, str]) -> None:
    door.register()
    answer = door.anybody().post("/sign-in", data=form)
    assert answer.status_code == 401 and "WWW-Authenticate" in answer.headers
    assert 'role="alert"' in answer.text and "<script>" not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_failed_sign_ins_are_limited(door: Door) -> None:
    form = {"username": "alice", "password": "wrong password"}
    statuses = [door.anybody().post("/sign-in", data=form).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_a_form_of_another_site_can_not_sign_in(door: Door) -> None:
    door.register()
    form = {"username": "alice", "password": PASSWORD}
    assert door.anybody().post("/sign-in", data=form, headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/dashboard/", "/dashboard/"),
        ("/jobs?status=failed", "/jobs?status=failed"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_a_browser_is_redirected_only_within_this_site(door: Door, wanted: str, led_to: str) -> None:
    door.register()
    form = {"username": "alice", "password": PASSWORD, "next": wanted}
    assert door.anybody().post("/sign-in", data=form).headers["Location"] == led_to


def test_signing_out_needs_the_csrf_token(door: Door) -> None:
    browser = door.browser()
    assert browser.client.post("/sign-out").status_code == 403
    assert browser.client.get("/").status_code == 200


def test_no_page_has_an_inline_script_or_style(door: Door) -> None:
    for page in (door.anybody().get("/sign-in"), door.browser().client.get("/")):
        assert page.status_code == 200
        # Each script is one of our files, which the policy allows, and its element is empty.
        assert page.text.count("<script") == len(
            re.findall(r'<script defer src="/static/[\w./-]+"></script>', page.text)
        )
        assert "style=" not in page.text and "<style" not in page.text
        assert "'unsafe" not in page.headers["Content-Security-Policy"]
        assert page.headers["Referrer-Policy"] == "same-origin"


def test_the_home_page_lists_job_types_and_the_user_s_jobs(door: Door) -> None:
    browser = door.browser()
    job = door.submit()
    theirs = door.submit("admin")
    page = browser.client.get("/").text
    assert job.job_id in page and theirs.job_id not in page
    assert all(name in page for name in door.client.catalogue)
    assert "/overview" not in page and "/overview" in door.browser("admin").client.get("/").text


@pytest.mark.parametrize(("proxies", "seen", "secure"), [(0, "127.0.0.1", False), (1, "203.0.113.9", True)])
def test_only_trusted_proxies_set_the_client_s_address(tmp_path: Path, proxies: int, seen: str, secure: bool) -> None:
    door = Door(tmp_path, {"trusted_proxies": proxies})
    door.register()
    browser = door.anybody()
    # The client has claimed the first address, and the proxy has seen the last.
    headers = {"X-Forwarded-For": "10.0.0.1, 203.0.113.9", "X-Forwarded-Proto": "https"}
    answer = browser.post("/sign-in", data={"username": "alice", "password": PASSWORD}, headers=headers)

    assert answer.status_code == 303
    assert ("Secure" in answer.headers["Set-Cookie"]) is secure
    entries = door.anybody().get("/api/v1/audit", headers=door.bearer("admin")).get_json()["entries"]
    assert entries[0]["address"] == seen
