"""`flask --app webapp jobs …`: its output and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from jobs.engine import errors
from jobs.engine.author.decorator import job
from jobs.engine.author.file_parameters import File
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.errors import WorkhorseError
from webapp import create_app
from webapp.application import make_app
from webapp.cli.exits import CODES, REFUSED, UNREACHABLE, code_of
from webapp.cli.parameter_options import parameter_options
from webapp.resource_table import job_fields
from webapp.services import Services

from .command import Command, end_next


@pytest.fixture
def run(app: Flask) -> Command:
    return Command(app)


# --- help ----------------------------------------------------------------------------


def test_the_help_lists_every_command_and_every_exit_code(run):
    shown = [" ".join(line.split()) for line in run("jobs", "--help").out.splitlines()]
    for line in (
        "bulk Cancel, retry or delete all jobs that match.",
        "cancel Cancel a job.",
        "check Check unfinished jobs against the code to deploy.",
        "doctor Find damage in the broker and repair it.",
        "drain Let a worker finish its job and end.",
        "follow Show a job's progress until it ends, then its result.",
        "list List a user's jobs, newest first.",
        "logs Print a job's log, which includes what it printed.",
        "retry Run a failed or cancelled job again, from its checkpoint.",
        "show Show one job.",
        "submit Submit a job and print its ID.",
        "queues List the queues: how many jobs wait, how long, and how many run.",
        "types List the job types, or describe one.",
        "workers List the workers of all hosts.",
        "0 success",
        "3 the broker can't be reached",
        "5 refused: not possible in this state, or a limit is reached",
    ):
        assert line in shown, line


@pytest.mark.parametrize(
    "command",
    [
        f"jobs {name}"
        for name in "types list show follow logs cancel retry doctor check bulk queues workers drain".split()
    ]
    + ["jobs submit echo", "users add", "users list", "users delete", "users password"]
    + ["keys add", "keys list", "keys revoke"],
)
def test_every_command_can_print_json(run, command):
    answer = run(*command.split(), "--help")
    assert answer.code == 0 and "--json" in answer.out


def test_the_help_of_submit_names_the_parameters_of_the_signature(run):
    shown = run("jobs", "submit", "echo", "--help").out
    assert "Return a text." in shown
    _, _, rest = shown.partition("Parameters:\n")
    parameters, _, options = rest.partition("\nOptions:\n")
    assert parameters == "  --text TEXT      [required]\n  --times INTEGER  [default: 1]\n"
    for option in "--params --priority --delay --run-at --timeout --tag --depends-on --as --wait --follow".split():
        assert option in options


def test_the_job_types_are_the_commands_of_submit(run, services):
    shown = run("jobs", "submit", "--help").out
    assert all(f"  {name} " in shown for name in services.catalogue)


# --- submitting --------------------------------------------------------------------------


def test_options_become_parameters_of_the_types_in_the_signature(run, services):
    job_id = run.submits("echo", "--text", "12", "--times", "3")
    stored = services.client.find(job_id)
    assert stored.params == {"text": "12", "times": 3}
    assert (stored.user_id, stored.status) == ("admin", "pending")


def test_single_options_override_parameters_in_json(run, services, tmp_path):
    path = tmp_path / "params.json"
    path.write_text('{"text": "from a file", "times": 2}')
    assert services.client.find(run.submits("echo", "--params", f"@{path}")).params["text"] == "from a file"
    stored = services.client.find(run.submits("echo", "--params", path.read_text(), "--times", "5"))
    assert stored.params == {"text": "from a file", "times": 5}
    answer = run("jobs", "submit", "echo", "--params", "@-", typed='{"text": "piped"}')
    assert services.client.find(answer.out.strip()).params == {"text": "piped"}


def test_options_set_priority_tags_delay_and_dependencies(run, services):
    first = run.submits("noop", "--priority", "low", "--tag", "a", "--tag", "b", "--delay", "60")
    stored = services.client.find(first)
    assert (stored.priority, stored.tags, stored.pending_reason) == ("low", ["a", "b"], "scheduled")
    waiting = services.client.find(run.submits("noop", "--depends-on", first))
    assert waiting.pending_reason == "waiting"


def test_a_job_can_be_submitted_for_another_user(run, services, alice):
    assert services.client.find(run.submits("noop", "--as", "alice")).user_id == "alice"
    unknown = run("jobs", "submit", "noop", "--as", "nobody")
    assert (unknown.code, unknown.err) == (4, "Error: There is no user 'nobody'; 'users list' shows all users.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["echo"], "--text: Field required"),
        (["echo", "--text", "x", "--times", "many"], "--times: Input should be a valid integer"),
        (["echo", "--params", "{"], "--params is not valid JSON"),
        (["echo", "--params", "[]"], "--params must be a JSON object, not list."),
        (["echo", "--params", "@/nowhere"], "--params: /nowhere can't be read: No such file or directory."),
        (["echo", "--params", '{"text": "x", "txet": 1}'], "/txet: This parameter does not exist; did you mean 't"),
        (["noop", "--delay", "-1"], "--delay: Input should be greater than or equal to 0"),
        (["noop", "--run-at", "tomorrow"], "'tomorrow' is not a time with a zone, for example 2030-01-31T12:00:00Z"),
        (["noop", "--priority", "urgent"], "'urgent' is not one of 'high', 'default', 'low'"),
        (["noop", "--bogus"], "No such option"),
    ],
)
def test_an_error_names_the_option_it_is_about(run, arguments, message):
    answer = run("jobs", "submit", *arguments)
    assert answer.code == 2
    assert message in answer.err and answer.out == ""


def test_an_unknown_job_type_is_not_found_and_a_similar_one_is_suggested(run):
    answer = run("jobs", "submit", "ehco")
    assert (answer.code, answer.err) == (4, "Error: The job type 'ehco' does not exist; did you mean 'echo'?\n")
    assert "'jobs types' lists all job types" in run("jobs", "submit", "xyzzy-plugh").err


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_a_job_over_the_limit_is_refused(run):
    run.submits("noop")
    assert run("jobs", "submit", "noop").code == REFUSED


@job(name="all-kinds")
def all_kinds(
    image: File,
    flag: bool = False,
    sizes: list[int] = [1, 2],  # noqa: B006 (a schema's default)
    either: int | str = 1,
    options: dict[str, Any] | None = None,
    timeout: int = 3,
) -> None:
    """Take one parameter of each kind."""


def kinds() -> dict[str, Any]:
    from jobs.engine.catalogue.job_type import JobType

    schema = Catalogue([JobType.of(all_kinds)])["all-kinds"].parameters.schema
    return {option.name: option for option in parameter_options(schema, {"--timeout"})}


def test_an_option_reads_its_text_by_the_schema():
    options = kinds()
    assert options["sizes"].value(("1", "x")) == [1, "x"]
    assert options["either"].value("7") == 7 and options["either"].value("seven") == "seven"
    assert options["options"].value('{"a": 1}') == {"a": 1}
    assert options["flag"].value(True) is True
    assert str(options["image"].value("@photo.jpg").path) == "photo.jpg"
    assert options["image"].value("0" * 32) == "0" * 32


def test_a_parameter_with_the_name_of_an_option_gets_another_flag():
    assert kinds()["timeout"].flag == "--param-timeout"


def test_a_local_file_is_uploaded_for_a_file_parameter(services, tmp_path):
    from jobs.engine.catalogue.job_type import JobType

    client = Client(services.client.store.connection, services.settings, Catalogue([JobType.of(all_kinds)]))
    run = Command(make_app(replace(services, catalogue=client.catalogue, client=client)))
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    job_id = run.submits("all-kinds", "--image", f"@{tmp_path / 'photo.jpg'}", "--flag", "--param-timeout", "9")
    params = services.client.find(job_id).params
    file = services.client.files.find(params.pop("image"))
    assert (file.filename, file.size, file.owner) == ("photo.jpg", 7, "admin")
    assert params == {"flag": True, "timeout": 9}
    assert run("jobs", "submit", "all-kinds", "--image", "@/nowhere").code == 2


# --- looking -----------------------------------------------------------------------------


def test_types_lists_the_catalogue_and_describes_one(run, services):
    assert "echo" in run("jobs", "types").out
    assert [kind["name"] for kind in run("jobs", "types", "--json").json["job_types"]] == list(services.catalogue)
    assert "Priority default, timeout 60 s, one attempt." in run("jobs", "types", "echo").out
    assert run("jobs", "types", "echo", "--json").json["timeout"] == 60
    assert "Needs a worker that can gpu, large." in run("jobs", "types", "on-large-gpu").out
    assert run("jobs", "types", "nothing").code == 4


def test_list_shows_the_newest_first_and_filters(run, services):
    run.submits("noop", "--tag", "first")
    run.submits("echo", "--text", "x")
    assert end_next(services, "failed", error="the well is dry", error_type="ValueError")
    heads, *rows = run("jobs", "list").out.splitlines()
    assert heads.split() == ["JOB", "TYPE", "STATUS", "PROGRESS", "CREATED", "WHAT"]
    assert ["echo" in rows[0], "noop" in rows[1]] == [True, True]
    assert "failed" in rows[1] and rows[1].endswith("the well is dry")
    assert "echo" not in run("jobs", "list", "--status", "failed").out
    assert len(run("jobs", "list", "--type", "echo", "--json").json["jobs"]) == 1
    assert len(run("jobs", "list", "--tag", "first", "--json").json["jobs"]) == 1
    assert run("jobs", "list", "--status", "running").out == "admin has no matching jobs.\n"


def test_a_long_list_continues_at_its_cursor(run):
    ids = [run.submits("noop") for _ in range(3)]
    page = run("jobs", "list", "--limit", "2", "--json").json
    rest = run("jobs", "list", "--cursor", page["next_cursor"], "--json").json
    assert [job["job_id"] for job in (*page["jobs"], *rest["jobs"])] == ids[::-1]
    assert "--cursor" in run("jobs", "list", "--limit", "2").out
    assert run("jobs", "list", "--cursor", "nonsense").code == 2


def test_show_prints_the_job(run, services):
    job_id = run.submits("echo", "--text", "hello", "--tag", "t")
    lines = dict(line.split(None, 1) for line in run("jobs", "show", job_id).out.splitlines() if line[0] != " ")
    assert (lines["job"], lines["type"], lines["user"], lines["status"]) == (job_id, "echo", "admin", "pending")
    assert lines["progress"] == "0 %  queued, position 1"
    assert run("jobs", "show", job_id, "--json").json["params"] == {"text": "hello"}
    gone = run("jobs", "show", "nothing")
    assert (gone.code, gone.err) == (4, "Error: There is no job 'nothing'; it may have expired.\n")


def test_show_has_a_line_for_each_field_with_a_value(run, services):
    job_id = run.submits("echo", "--text", "hello")
    end_next(services)
    resource = run("jobs", "show", job_id, "--json").json
    labels = [line.split()[0] for line in run("jobs", "show", job_id).out.splitlines() if line[0] != " "]
    filled = [field.label for field in job_fields() if field.label and resource[field.name] not in (None, [])]
    assert len(labels) > 10 and labels == filled


def test_control_characters_of_a_job_do_not_reach_the_terminal(run, services):
    job_id = run.submits("noop", "--tag", "t")
    end_next(services, "failed", error="\x1b[2Jboo\x07", error_type="ValueError")
    for answer in (run("jobs", "show", job_id), run("jobs", "list"), run("jobs", "follow", job_id)):
        assert "\x1b" not in answer.out + answer.err and "\\x1b[2Jboo" in answer.out + answer.err


def test_logs_prints_lines_and_json(run, services):
    job_id = run.submits("noop")
    line = {"at": "2030-01-31T12:00:00.5Z", "attempt": 1, "level": "info", "message": "a line"}
    services.client.store.connection.rpush(f"wh:logs:{job_id}", json.dumps(line))
    services.client.store.connection.hset(f"rq:job:{job_id}", "logged", 1)
    assert run("jobs", "logs", job_id).out == "2030-01-31T12:00:00Z  info     a line\n"
    assert run("jobs", "logs", job_id, "--json").json == {"lines": [line]}
    assert run("jobs", "logs", "nothing").code == 4


# --- following, cancelling, retrying ----------------------------------------------------------


def test_following_a_job_ends_with_its_result(run, services):
    job_id = run.submits("noop")
    end_next(services)
    answer = run("jobs", "follow", job_id)
    assert (answer.code, answer.out) == (0, '100 %  completed\n"42"\n')
    assert run("jobs", "follow", job_id, "--json").json["result"] == "42"


def test_following_a_failed_job_exits_with_1(run, services):
    job_id = run.submits("noop")
    end_next(services, "failed", error="the well is dry", error_type="ValueError")
    answer = run("jobs", "follow", job_id)
    assert answer.code == 1
    assert answer.err.startswith("failed after 0.") and answer.err.endswith("ValueError: the well is dry\n")


def test_follow_refuses_json_together_with_logs(run):
    assert run("jobs", "follow", "x", "--json", "--logs").code == 2
    assert run("jobs", "follow", "nothing").code == 4


def test_cancel_and_retry(run, services):
    job_id = run.submits("noop")
    assert run("jobs", "cancel", job_id).out == "cancelled\n"
    again = run("jobs", "cancel", job_id)
    assert (again.code, again.err) == (REFUSED, "Error: The job is cancelled and can't be cancelled.\n")
    assert run("jobs", "retry", job_id, "--json").json["status"] == "pending"
    assert run("jobs", "retry", job_id).code == REFUSED


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_a_retry_above_the_limit_of_active_jobs_is_refused(run):
    first = run.submits("noop")
    run("jobs", "cancel", first)
    run.submits("noop")
    answer = run("jobs", "retry", first)
    assert (answer.code, answer.out) == (REFUSED, "")
    assert "has 1 unfinished jobs, and the limit is 1" in answer.err


# --- what goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["jobs list", "jobs submit noop", "jobs show x", "jobs follow x", "jobs doctor", "jobs check", "users list"],
)
def test_an_unreachable_broker_is_reported_in_a_sentence(run, broker, settings, command):
    broker.connected = False
    answer = run(*command.split())
    assert answer.code == UNREACHABLE
    assert answer.err.startswith("Error: The broker can't be reached; try again shortly. Tried ")
    assert str(settings.broker_socket) in answer.err


def test_some_commands_work_without_a_broker(run, broker):
    broker.connected = False
    assert run("jobs", "types").code == 0
    assert run("jobs", "submit", "echo").code == 2


def every_error(kind: type[WorkhorseError] = WorkhorseError) -> list[type[WorkhorseError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in every_error(below))]


def test_every_error_has_an_exit_code():
    assert set(CODES.values()) == {1, 2, 3, 4, 5}
    assert code_of(errors.JobNotFound()) == 4
    assert all(next(CODES[each] for each in kind.__mro__ if each in CODES) for kind in every_error())


def test_the_key_of_an_existing_admin_is_never_replaced(run, services: Services):
    before = services.accounts.ensure_admin()
    run.submits("noop")
    assert services.accounts.bearers.authenticate(before).user_id == "admin"


def test_bad_settings_end_with_a_sentence(monkeypatch, tmp_path):
    import click
    from flask.cli import ScriptInfo

    from jobs.engine.settings import settings as environment

    monkeypatch.setenv("WORKERS", "many")
    environment.cache_clear()
    try:
        with click.Context(click.Command("flask")), pytest.raises(click.ClickException) as refused:
            ScriptInfo(create_app=create_app).load_app()
    finally:
        environment.cache_clear()
    assert refused.value.exit_code == 2
    assert "WORKERS='many'" in refused.value.message
