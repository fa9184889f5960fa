"""`users …` and `keys …`: accounts from a terminal."""

from __future__ import annotations

import pytest
from flask import Flask

from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.errors import Unauthenticated

from .command import Command


@pytest.fixture
def run(app: Flask) -> Command:
    return Command(app)


@pytest.fixture
def carol(run: Command) -> str:
    answer = run("users", "add", "carol", "carol@example.com", "--password", "correct horse")
    assert (answer.code, answer.out) == (0, "Added carol. To create an API key: keys add carol\n")
    return "carol"


def test_a_user_is_added_listed_and_removed(run, carol, services):
    user, *others = run("users", "list", "--json").json["users"]
    assert (user["user_id"], user["email"], user["roles"], others) == ("carol", "carol@example.com", ["user"], [])
    assert "carol@example.com" in run("users", "list").out
    assert run("users", "delete", "carol", "--yes").out == "Removed carol.\n"
    assert run("users", "list").out == "There are no users.\n"
    assert run("users", "delete", "carol", "--yes").code == 4


def test_a_password_is_prompted_for_and_not_shown(run, services):
    answer = run("users", "add", "dave", "dave@example.com", typed="correct horse\ncorrect horse\n")
    assert answer.code == 0 and "correct horse" not in answer.out + answer.err
    assert services.accounts.sign_in.check_password("dave", "correct horse").user_id == "dave"


def test_a_removal_asks_for_confirmation(run, carol, services):
    assert run("users", "delete", "carol", typed="n\n").code == 1
    assert services.accounts.find("carol")
    assert run("users", "delete", "carol", typed="y\n").code == 0


def test_removing_a_user_removes_keys_and_jobs(run, carol, services):
    job_id = run.submits("noop", "--as", "carol")
    key = run("keys", "add", "carol").out.strip()
    run("users", "delete", "carol", "--yes")
    assert run("jobs", "show", job_id).code == 4
    with pytest.raises(Unauthenticated):
        services.accounts.bearers.authenticate(key)


def test_an_admin_can_be_added(run, services):
    run("users", "add", "root", "root@example.com", "--password", "correct horse", "--admin")
    assert services.accounts.find("root").is_admin


def test_invalid_fields_of_a_user_are_listed(run, carol):
    bad = run("users", "add", "A B", "nowhere", "--password", "short")
    assert bad.code == 2
    assert {line.split(":")[0] for line in bad.err.removeprefix("Error: ").splitlines()} == {
        "username",
        "email",
        "password",
    }
    assert run("users", "add", "carol", "else@example.com", "--password", "correct horse").code == 5


def test_a_new_password_ends_tokens_and_sessions_and_leaves_keys(run, carol, services):
    accounts = services.accounts
    token, _ = accounts.bearers.issue_token(accounts.find("carol"))
    session = accounts.sign_in.open_session(accounts.find("carol"))
    key = run("keys", "add", "carol").out.strip()
    assert run("users", "password", "carol", "--password", "battery staple").out == "carol has a new password.\n"
    assert accounts.sign_in.check_password("carol", "battery staple").user_id == "carol"
    assert accounts.bearers.authenticate(key).user_id == "carol"
    with pytest.raises(Unauthenticated):
        accounts.sign_in.check_password("carol", "correct horse")
    with pytest.raises(Unauthenticated):
        accounts.bearers.authenticate(token)
    with pytest.raises(Unauthenticated):
        accounts.sign_in.session_user(session)
    assert run("users", "password", "carol", "--password", "short").code == 2
    assert run("users", "password", "nobody", "--password", "correct horse").code == 4


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(run, carol, services):
    made = run("keys", "add", "carol", "--name", "laptop", "--json").json
    assert services.accounts.bearers.authenticate(made["key"]).user_id == "carol"
    listed = run("keys", "list", "--as", "carol", "--json").json["api_keys"]
    assert [(key["id"], key["name"], "key" in key) for key in listed] == [(made["id"], "laptop", False)]
    assert made["key"] not in run("keys", "list", "--as", "carol").out
    assert run("keys", "revoke", "carol", made["id"]).out == f"Revoked {made['id']}.\n"
    assert run("keys", "revoke", "carol", made["id"]).code == 4
    assert run("keys", "list", "--as", "carol").out == "carol has no API keys.\n"


def test_changes_are_in_the_audit_log(run, carol, services):
    run("keys", "add", "carol")
    job_id = run.submits("noop", "--as", "carol")
    run("jobs", "cancel", job_id)
    run("users", "delete", "carol", "--yes")

    acts = [entry.act for entry in services.audit.page().entries]
    noted = [(act.action, act.user_id) for act in reversed(acts)]
    assert noted == [
        ("create-user", None),
        ("create-api-key", "carol"),
        ("submit-job", "carol"),
        ("cancel-job", None),
        ("delete-user", None),
    ]
    assert all((act.address or "").startswith("terminal of ") for act in acts)
    assert acts[1].subject == job_id


def test_a_removed_user_s_schedules_go_too(run, carol, services):
    plan = Plan("noop", {}, "0 6 * * *", "UTC")
    Schedules(services.client).create("carol", plan)
    run("users", "delete", "carol", "--yes")
    assert Schedules(services.client).of_user("carol") == []
