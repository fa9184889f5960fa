"""The door: who gets in, and what a cookie may not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests.unit.webapp.door import ADMIN_KEY, Door
from webapp import auth

COOKIE = "workhorse_session"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def rules(app: Flask) -> list[tuple[str, str]]:
    """Every method of every address that the app serves."""
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_all_but_the_open_list_is_closed_to_strangers(door: Door) -> None:
    for method, rule in rules(door.app):
        path = rule.replace("<int:instance_number>", "0").replace("<", "").replace(">", "").replace("path:", "")
        status = door.anybody().open(path, method=method).status_code
        if (method, rule) in auth.OPEN:
            assert status != 401 or rule == "/sign-in", (method, rule)
        else:
            assert status == 401, (method, rule)


def test_every_address_on_the_open_list_exists(door: Door) -> None:
    assert auth.OPEN | {auth.REGISTER} <= set(rules(door.app))


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/healthz/", "/healthz/x", "/dashboard/nowhere"])
def test_what_does_not_exist_is_closed_too(door: Door, path: str) -> None:
    assert door.anybody().get(path).status_code == 401
    assert door.anybody().get(path, headers=door.bearer()).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_of_an_open_address_is_closed(door: Door, method: str) -> None:
    assert door.anybody().open("/healthz", method=method).status_code == 401


def test_a_refusal_says_how_to_authenticate(door: Door) -> None:
    answer = door.anybody().get("/api/v1/users/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json is not None and answer.json["code"] == "unauthenticated"


def test_a_key_and_a_token_get_in(door: Door) -> None:
    token, _ = door.accounts.bearers.issue_token(door.accounts.find(door.register()))
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer  {ADMIN_KEY} "},
        door.bearer("bob"),
    ):
        assert door.anybody().get("/api/v1/users/me", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer wh_wrong",
        "wh_wrong",
        "Bearer a b",
        "Bearer \xff\xfe",
        "Bearer a, Bearer b",
    ],
)
def test_a_bad_header_is_refused_though_the_cookie_is_good(door: Door, header: str) -> None:
    browser = door.browser()
    assert browser.client.get("/api/v1/users/me").status_code == 200
    assert browser.client.get("/api/v1/users/me", headers={"Authorization": header}).status_code == 401


def test_a_request_is_counted_once(door: Door) -> None:
    headers = door.bearer()
    for _ in range(3):
        answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert answer.json is not None and answer.json["usage"]["request_count"] == 3


def test_a_caller_over_the_rate_limit_waits_and_nobody_else_does(tmp_path: Path) -> None:
    door = Door(tmp_path, {"rate_limit": "2/minute"})
    headers, others = door.bearer(), door.bearer("bob")
    statuses = [door.anybody().get("/api/v1/users/me", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert door.anybody().get("/api/v1/users/me", headers=others).status_code == 200


def test_a_broker_that_is_away_is_no_reason_to_let_anybody_in(door: Door) -> None:
    headers = door.bearer()
    assert door.anybody().get("/api/v1/users/me", headers=headers).status_code == 200
    door.server.connected = False
    answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert door.anybody().get("/healthz").status_code == 200


# --- cookies -----------------------------------------------------------------------


def test_the_cookie_is_for_the_server_alone_and_for_https_if_it_came_by_it(door: Door) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        link = f"/sign-in?token={door.accounts.sign_in.issue_link('admin')}"
        cookie = door.anybody().get(link, base_url=f"{scheme}://localhost").headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert ("Secure" in cookie) is secure


def test_a_session_dies_with_its_user(door: Door) -> None:
    browser = door.browser()
    door.accounts.delete("alice")
    assert browser.client.get("/api/v1/users/me").status_code == 401


def test_a_cookie_that_was_copied_ends_with_the_session(door: Door) -> None:
    browser, thief = door.browser(), door.anybody()
    copied = browser.client.get_cookie(COOKIE)
    assert copied is not None
    thief.set_cookie(COOKIE, copied.value)
    assert thief.get("/api/v1/users/me").status_code == 200
    browser.client.post("/sign-out", data={"csrf_token": browser.csrf_token})
    assert thief.get("/api/v1/users/me").status_code == 401


def test_a_cookie_that_nobody_signed_is_none(door: Door) -> None:
    client = door.anybody()
    client.set_cookie(COOKIE, "eyJzZWNyZXQiOiJ4In0.Zm9v.Zm9v")
    assert client.get("/api/v1/users/me").status_code == 401


def test_a_browser_is_led_to_the_sign_in_page_and_a_script_is_not(door: Door) -> None:
    html = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    answer = door.anybody().get("/dashboard/?a=b", headers=html)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/dashboard/?a%3Db"
    assert door.anybody().get("/dashboard/").status_code == 401
    assert door.anybody().get("/api/v1/users/me", headers=html).status_code == 401
    assert door.anybody().post("/dashboard/", headers=html).status_code == 401


# --- requests that another site's page sends ------------------------------------------


def test_a_cookie_alone_changes_nothing(door: Door) -> None:
    answer = door.browser().client.post("/api/v1/api-keys")
    assert answer.status_code == 403
    assert door.accounts.keys("alice") == []


def test_the_token_of_the_page_goes_with_a_header_or_a_form(door: Door) -> None:
    browser = door.browser()
    token = browser.csrf_token
    assert browser.client.post("/api/v1/api-keys", headers={"X-CSRF-Token": token}).status_code == 201
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 303


@pytest.mark.parametrize("token", ["", "none", "wrong", "\xff"])
def test_a_wrong_token_is_refused(door: Door, token: str) -> None:
    answer = door.browser().client.post("/api/v1/api-keys", headers={"X-CSRF-Token": token})
    assert answer.status_code == 403


def test_the_token_of_another_session_is_refused(door: Door) -> None:
    token = door.browser("bob").csrf_token
    assert door.browser().client.post("/api/v1/api-keys", headers={"X-CSRF-Token": token}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_another_site_is_refused_even_with_the_right_token(door: Door, headers: dict[str, str]) -> None:
    browser = door.browser()
    headers = headers | {"X-CSRF-Token": browser.csrf_token}
    assert browser.client.post("/api/v1/api-keys", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://localhost"}, {"Origin": "https://LOCALHOST"}, {"Sec-Fetch-Site": "same-origin"}],
    ids=str,
)
def test_our_own_pages_get_through(door: Door, headers: dict[str, str]) -> None:
    browser = door.browser()
    headers = headers | {"X-CSRF-Token": browser.csrf_token}
    assert browser.client.post("/api/v1/api-keys", headers=headers).status_code == 201


def test_a_caller_with_a_key_needs_no_csrf_token(door: Door) -> None:
    headers = door.bearer() | {"Origin": "https://another.example"}
    assert door.anybody().post("/api/v1/api-keys", headers=headers).status_code == 201


def test_a_forged_request_is_not_charged_to_the_victim(door: Door) -> None:
    browser = door.browser()
    browser.client.post("/api/v1/api-keys")
    assert door.accounts.find("alice").request_count == 0


def test_a_credential_can_be_checked_again_after_the_request(door: Door) -> None:
    headers = door.bearer()
    with door.app.test_request_context("/api/v1/users/me", headers=headers):
        door.app.preprocess_request()
        check = auth.credential_check()
    assert check().user_id == "alice"
    door.accounts.delete("alice")
    with pytest.raises(Exception, match="not valid"):
        check()
