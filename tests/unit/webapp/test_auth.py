"""Authentication: which credentials are accepted, and the limits of a cookie."""

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
    """Return every method of every route of the app."""
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_every_route_that_is_not_on_the_open_list_needs_a_credential(door: Door) -> None:
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
def test_an_address_that_does_not_exist_needs_a_credential(door: Door, path: str) -> None:
    assert door.anybody().get(path).status_code == 401
    assert door.anybody().get(path, headers=door.bearer()).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_of_an_open_address_needs_a_credential(door: Door, method: str) -> None:
    assert door.anybody().open("/healthz", method=method).status_code == 401


def test_a_refusal_explains_how_to_authenticate(door: Door) -> None:
    answer = door.anybody().get("/api/v1/users/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json is not None and answer.json["code"] == "unauthenticated"


def test_a_key_and_a_token_are_accepted(door: Door) -> None:
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
def test_an_invalid_header_is_refused_although_the_cookie_is_valid(door: Door, header: str) -> None:
    browser = door.browser()
    assert browser.client.get("/api/v1/users/me").status_code == 200
    assert browser.client.get("/api/v1/users/me", headers={"Authorization": header}).status_code == 401


def test_a_request_is_counted_once(door: Door) -> None:
    headers = door.bearer()
    for _ in range(3):
        answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert answer.json is not None and answer.json["usage"]["request_count"] == 3


def test_only_the_caller_over_the_rate_limit_waits(tmp_path: Path) -> None:
    door = Door(tmp_path, {"rate_limit": "2/minute"})
    headers, others = door.bearer(), door.bearer("bob")
    statuses = [door.anybody().get("/api/v1/users/me", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert door.anybody().get("/api/v1/users/me", headers=others).status_code == 200


def test_no_request_is_authenticated_while_the_broker_is_unreachable(door: Door) -> None:
    headers = door.bearer()
    assert door.anybody().get("/api/v1/users/me", headers=headers).status_code == 200
    door.server.connected = False
    answer = door.anybody().get("/api/v1/users/me", headers=headers)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert door.anybody().get("/healthz").status_code == 200


# --- cookies -----------------------------------------------------------------------


def test_the_cookie_is_http_only_and_secure_over_https(door: Door) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        link = f"/sign-in?token={door.accounts.sign_in.issue_link('admin')}"
        cookie = door.anybody().get(link, base_url=f"{scheme}://localhost").headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert ("Secure" in cookie) is secure


def test_a_session_ends_when_its_user_is_deleted(door: Door) -> None:
    browser = door.browser()
    door.accounts.delete("alice")
    assert browser.client.get("/api/v1/users/me").status_code == 401


def test_a_copied_cookie_stops_working_when_the_session_ends(door: Door) -> None:
    browser, thief = door.browser(), door.anybody()
    copied = browser.client.get_cookie(COOKIE)
    assert copied is not None
    thief.set_cookie(COOKIE, copied.value)
    assert thief.get("/api/v1/users/me").status_code == 200
    browser.client.post("/sign-out", data={"csrf_token": browser.csrf_token})
    assert thief.get("/api/v1/users/me").status_code == 401


def test_an_unsigned_cookie_is_ignored(door: Door) -> None:
    client = door.anybody()
    client.set_cookie(COOKIE, "eyJzZWNyZXQiOiJ4In0.Zm9v.Zm9v")
    assert client.get("/api/v1/users/me").status_code == 401


def test_a_browser_is_redirected_to_the_sign_in_page_and_a_script_is_not(door: Door) -> None:
    html = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    answer = door.anybody().get("/dashboard/?a=b", headers=html)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/dashboard/?a%3Db"
    assert door.anybody().get("/dashboard/").status_code == 401
    assert door.anybody().get("/api/v1/users/me", headers=html).status_code == 401
    assert door.anybody().post("/dashboard/", headers=html).status_code == 401


# --- requests that another site's page sends ------------------------------------------


def test_a_cookie_without_a_csrf_token_changes_nothing(door: Door) -> None:
    answer = door.browser().client.post("/api/v1/api-keys")
    assert answer.status_code == 403
    assert door.accounts.keys("alice") == []


def test_the_csrf_token_is_accepted_in_a_header_or_a_form(door: Door) -> None:
    browser = door.browser()
    token = browser.csrf_token
    assert browser.client.post("/api/v1/api-keys", headers={"X-CSRF-Token": token}).status_code == 201
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 303


@pytest.mark.parametrize("token", ["", "none", "wrong", "\xff"])
def test_a_wrong_csrf_token_is_refused(door: Door, token: str) -> None:
    answer = door.browser().client.post("/api/v1/api-keys", headers={"X-CSRF-Token": token})
    assert answer.status_code == 403


def test_the_csrf_token_of_another_session_is_refused(door: Door) -> None:
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
def test_a_request_from_another_site_is_refused_even_with_the_right_csrf_token(
    door: Door, headers: dict[str, str]
) -> None:
    browser = door.browser()
    headers = headers | {"X-CSRF-Token": browser.csrf_token}
    assert browser.client.post("/api/v1/api-keys", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://localhost"}, {"Origin": "https://LOCALHOST"}, {"Sec-Fetch-Site": "same-origin"}],
    ids=str,
)
def test_requests_from_our_own_pages_are_accepted(door: Door, headers: dict[str, str]) -> None:
    browser = door.browser()
    headers = headers | {"X-CSRF-Token": browser.csrf_token}
    assert browser.client.post("/api/v1/api-keys", headers=headers).status_code == 201


def test_a_caller_with_a_key_needs_no_csrf_token(door: Door) -> None:
    headers = door.bearer() | {"Origin": "https://another.example"}
    assert door.anybody().post("/api/v1/api-keys", headers=headers).status_code == 201


def test_a_forged_request_does_not_count_against_the_victim_s_rate_limit(door: Door) -> None:
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
