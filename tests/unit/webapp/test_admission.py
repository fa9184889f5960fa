"""A request is admitted by the script that serves it: one round trip, and refusals in the documented order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.webapp.door import Door

BODY = {"text": "hello"}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, {"rate_limit": "3/hour"})


Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(door: Door) -> Ask:
    """Send requests as alice, whose credential is already in the cache."""
    headers = door.bearer()
    door.accounts.bearers.authenticate(headers["Authorization"].split()[1])

    def request(method: str, path: str, **options: Any) -> TestResponse:
        return door.anybody().open(path, method=method, headers=headers, **options)

    return request


def submit(ask: Ask, body: Any = BODY, query: str = "") -> TestResponse:
    return ask("POST", f"/api/v1/jobs/reverse-text{query}", json=body)


def commands(door: Door, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the commands that are sent to the broker, one per round trip."""
    sent: list[str] = []
    execute = type(door.connection).execute_command

    def noted(self: Any, *args: Any, **options: Any) -> Any:
        if current_thread() is main_thread():  # other threads write the logs after the request
            sent.append(args[0])
        return execute(self, *args, **options)

    monkeypatch.setattr(type(door.connection), "execute_command", noted)
    return sent


def test_a_submission_and_a_poll_take_one_round_trip_each(
    door: Door, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = submit(ask).get_json()["poll_url"]
    assert ask("GET", url).status_code == 200  # from now on, the broker knows the scripts
    sent = commands(door, monkeypatch)
    assert submit(ask).status_code == 202
    assert sent == ["FCALL"]
    assert ask("GET", url).status_code in (200, 429)
    assert sent == ["FCALL", "FCALL"]


def test_each_request_counts_once(door: Door, ask: Ask) -> None:
    ask("GET", submit(ask).get_json()["poll_url"])
    assert door.accounts.find("alice").request_count == 2


def test_the_fourth_submission_is_refused_if_three_an_hour_are_allowed(ask: Ask) -> None:
    assert [submit(ask).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert 1 <= int(submit(ask).headers["Retry-After"]) <= 1_200


def test_the_fourth_poll_is_refused_if_three_an_hour_are_allowed(door: Door, ask: Ask) -> None:
    url = door.submit("alice").poll_url
    assert [ask("GET", url).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_job_over_the_rate_limit_is_not_stored(door: Door, ask: Ask) -> None:
    for _ in range(5):
        submit(ask)
    assert sum(door.client.counts("alice").values()) == 3


def test_an_invalid_request_is_refused_before_its_rate_is_checked(door: Door, ask: Ask) -> None:
    bobs = door.submit(door.register("bob"))
    url = door.submit("alice").poll_url
    for _ in range(3):
        submit(ask)
    assert ask("POST", "/api/v1/jobs/no-such-type", json=BODY).status_code == 404
    assert ask("POST", "/api/v1/jobs/reverse-text", data="{").status_code == 415
    assert submit(ask, {"txt": 1}).status_code == 422
    assert submit(ask, query="?depends_on=nobody").status_code == 422
    assert submit(ask, query=f"?depends_on={bobs.job_id}").status_code == 403
    assert ask("GET", "/api/v1/jobs/nothing").status_code == 404
    assert ask("GET", bobs.poll_url).status_code == 403
    assert ask("GET", f"{url}?wait=99").status_code == 422
    assert ask("GET", url).status_code == submit(ask).status_code == 429


def test_requests_that_are_refused_before_the_script_count(door: Door, ask: Ask) -> None:
    assert [submit(ask, {"txt": 1}).status_code for _ in range(3)] == [422] * 3
    assert door.accounts.find("alice").request_count == 3
    assert submit(ask).status_code == 429


def test_a_repeated_request_counts_and_returns_the_job(door: Door, ask: Ask) -> None:
    headers = door.bearer() | {"Idempotency-Key": "k"}
    answers = [door.anybody().post("/api/v1/jobs/reverse-text", json=BODY, headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[1].json == answers[0].json


@pytest.mark.parametrize("what", ["submit", "poll"])
def test_a_key_that_another_process_revokes_stops_working_at_once(door: Door, ask: Ask, what: str) -> None:
    url = door.submit("alice").poll_url
    door.connection.delete(*door.connection.keys("wh:apikey:*"))
    answer = submit(ask) if what == "submit" else ask("GET", url)
    assert answer.status_code == 401


@pytest.mark.parametrize("what", ["submit", "poll"])
def test_credentials_of_a_deleted_user_do_not_work_for_a_new_user_of_the_same_name(
    door: Door, ask: Ask, what: str
) -> None:
    url = door.submit("alice").poll_url
    door.connection.hset("wh:user:alice", "generation", "another")
    answer = submit(ask) if what == "submit" else ask("GET", url)
    assert answer.status_code == 401
    assert door.accounts.find("alice").request_count == 0
