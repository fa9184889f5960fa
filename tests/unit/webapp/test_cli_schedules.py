"""`flask --app webapp schedules …`: its output and its exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from .command import Command

ECHO = ("--params", '{"text": "hi"}')


@pytest.fixture
def run(app: Flask) -> Command:
    return Command(app)


@pytest.fixture
def schedule_id(run: Command, alice: Any) -> str:
    answer = run("schedules", "create", "echo", "30 2 * * *", *ECHO, "--overlap", "skip", "--as", "alice")
    assert answer.code == 0, answer.err
    return answer.out.strip()


def shown(run: Command, schedule_id: str) -> dict[str, Any]:
    return dict(run("schedules", "show", schedule_id, "--json").json)


@pytest.mark.parametrize("command", "create list show runs edit pause resume run delete".split())
def test_every_command_can_print_json(run, command):
    answer = run("schedules", command, "--help")
    assert answer.code == 0 and "--json" in answer.out


def test_a_schedule_is_created_listed_and_deleted(run, schedule_id):
    found = shown(run, schedule_id)
    assert (found["user_id"], found["params"], found["overlap"]) == ("alice", {"text": "hi"}, "skip")
    listed = run("schedules", "list", "--as", "alice").out
    assert schedule_id in listed and "30 2 * * *" in listed
    assert run("schedules", "list", "--as", "alice", "--json").json == {"schedules": [found]}
    assert run("schedules", "delete", schedule_id).out == f"Deleted {schedule_id}.\n"
    assert run("schedules", "list", "--as", "alice").out == "alice has no schedules.\n"


def test_only_what_is_given_changes(run, schedule_id):
    before = shown(run, schedule_id)
    answer = run("schedules", "edit", schedule_id, "--catch-up", "all", "--json")
    assert answer.json == before | {"catch_up": "all"} == shown(run, schedule_id)
    assert "catch up     all\n" in run("schedules", "edit", schedule_id, "--params", '{"text": "new"}').out


def test_running_a_schedule_says_if_an_equal_job_exists(run, alice):
    schedule_id = run("schedules", "create", "once-a-word", "@daily", "--params", '{"word": "x"}', "--as", "alice").out
    first, again = (run("schedules", "run", schedule_id.strip()) for _ in range(2))
    assert (first.err, again.err) == ("", "An equal job exists, and nothing was stored.\n")
    assert first.out == again.out


def test_a_schedule_is_paused_and_resumed(run, schedule_id):
    paused = run(
        "schedules", "pause", schedule_id, "--reason", "month end", "--until", "2099-01-01T00:00:00Z", "--json"
    )
    assert paused.json["paused"]["reason"] == "month end"
    assert paused.json["paused"]["by"] is None
    assert "paused until 2099-01-01T00:00:00Z" in run("schedules", "list", "--as", "alice").out
    assert run("schedules", "resume", schedule_id, "--json").json["paused"] is None


def test_a_schedule_runs_now_and_lists_its_ticks(run, schedule_id, services):
    assert run("schedules", "runs", schedule_id).out == "It has not run yet.\n"
    job_id = run("schedules", "run", schedule_id).out.strip()
    assert services.client.find(job_id).user_id == "alice"
    listed = run("schedules", "runs", schedule_id).out
    assert "manual" in listed and job_id in listed
    assert [each["job_id"] for each in run("schedules", "runs", schedule_id, "--json").json["runs"]] == [job_id]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("edit", "ID", "--cron", "61 * * * *"), 2, "cron: this cron line is not valid"),
        (("edit", "ID", "--params", "{"), 2, "not JSON"),
        (("edit", "ID", "--params", "[]"), 2, "expected a JSON object"),
        (("edit", "ID", "--params", '{"text": 1}'), 2, "text: "),
        (("pause", "ID", "--until", "2020-01-01T00:00:00Z"), 2, "this time has passed"),
        (("pause", "ID", "--reason", "x" * 501), 2, "at most 500 characters"),
        (("show", "unknown"), 4, "There is no schedule 'unknown'."),
        (("runs", "unknown"), 4, "There is no schedule 'unknown'."),
        (("run", "unknown"), 4, "There is no schedule 'unknown'."),
        (("create", "ecko", "@daily"), 4, "does not exist"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_is_a_sentence_with_an_exit_code(run, schedule_id, arguments, code, message):
    answer = run("schedules", *(schedule_id if each == "ID" else each for each in arguments))
    assert answer.code == code, answer.err
    assert message in answer.err


def test_what_an_operator_does_is_in_the_audit_log(run, schedule_id, services):
    run("schedules", "edit", schedule_id, "--overlap", "wait")
    for verb in ("pause", "resume", "run", "delete"):
        run("schedules", verb, schedule_id)
    services.audit.flush()
    actions = [entry.act.action for entry in services.audit.page().entries if entry.act.subject == schedule_id]
    assert actions == [f"schedules.{verb}" for verb in ("delete", "run", "resume", "pause", "edit", "create")]


def test_control_characters_of_a_record_do_not_reach_the_terminal(run, schedule_id, services):
    key = f"wh:schedule:{schedule_id}"
    pause = {"at": "2026-01-01T00:00:00Z", "by": "eve", "reason": "a\x1b[31mb", "until": None}
    services.client.store.connection.hset(key, "paused", json.dumps(pause))
    assert "\x1b" not in run("schedules", "show", schedule_id).out
