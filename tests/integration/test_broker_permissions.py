"""A broker that refuses permission is logged in a line, not in a trace a second, and work starts once it is granted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import connect
from jobs.engine.client.client import Client
from jobs.engine.follow.follower import Follower
from tests.integration.harness import Harness
from tests.waiting import eventually
from webapp.application import make_app
from webapp.services import Services

USER = "limited"
REFUSAL = "no permissions to run the 'fcall' command"


def set_rules(harness: Harness, *rules: str) -> None:
    harness.connection.execute_command("ACL", "SETUSER", USER, *rules)


def refusals(harness: Harness) -> int:
    entries: Any = harness.connection.acl_log()
    return sum(entry["count"] for entry in entries if (entry["username"], entry["object"]) == (USER, "fcall"))


def test_a_missing_permission_to_run_scripts_is_logged_once_by_each_process(harness: Harness, tmp_path: Path) -> None:
    log = tmp_path / "log"
    set_rules(harness, "reset", "on", ">secret", "~*", "&*", "+@all", "-@scripting")
    address = harness.settings.broker_url.replace("unix://", f"unix://{USER}:secret@")
    job = harness.submit("noop")

    harness.launch_workers({"REDIS_URL": address}, log)
    eventually(lambda: refusals(harness) >= 20, "its processes try again and again")

    lines = [line for line in log.read_text().splitlines() if REFUSAL in line]
    assert len(lines) == 2, "one of the worker and one of the scheduler"
    assert all("ACL SETUSER <user> ~* &* +@all -@dangerous" in line for line in lines)
    assert "Traceback" not in log.read_text()

    set_rules(harness, "reset", "on", ">secret", "~*", "&*", "+@all", "-@dangerous")
    assert harness.ended(job).status == "completed"
    assert "Traceback" not in log.read_text()


def test_a_request_that_needs_scripts_gets_503_and_the_log_says_why(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    key = Accounts(harness.connection, harness.settings).ensure_admin()
    set_rules(harness, "reset", "on", ">secret", "~*", "&*", "+@all", "-@scripting")
    address = harness.settings.broker_url.replace("unix://", f"unix://{USER}:secret@")
    settings = harness.settings.model_copy(update={"redis_url": address})
    connection = connect(settings)
    client = Client(connection, settings, harness.client.catalogue)
    web = make_app(Services(settings, client.catalogue, client, Accounts(connection, settings), Follower(client)))

    headers = {"Authorization": f"Bearer {key}"}
    responses = [web.test_client().post("/api/v1/jobs/noop", json={}, headers=headers) for _ in range(3)]

    assert [response.status_code for response in responses] == [503] * 3
    assert all(response.get_json()["code"] == "broker_unavailable" for response in responses)
    assert responses[0].headers["Retry-After"] == "60"
    assert ["no permissions to run" in each.message and not each.exc_info for each in caplog.records] == [True]
