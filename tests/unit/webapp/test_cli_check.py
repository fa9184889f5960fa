"""`jobs check` finds unfinished jobs and schedules that the code to deploy can't run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from rq import Queue

from jobs.engine import Limit, Unique
from jobs.engine.author.decorator import OPTIONS
from jobs.engine.broker import malformed
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.rules import Rules
from jobs.engine.client.pipelines import Step, submit_pipeline
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.operate import deploy_check
from webapp.application import make_app
from webapp.services import Services

from .command import Answer, Command, end_next


def new_echo(text: str, loudness: int) -> list[str]:
    """The next version of `echo`: without `times`, and with `loudness` required."""
    return [text] * loudness


@pytest.fixture
def run(app: Flask) -> Command:
    return Command(app)


@pytest.fixture
def deploy(services: Services) -> Any:
    """Run `jobs check` with other code: without some job types, or with another signature of `echo`."""

    def check(*arguments: str, without: tuple[str, ...] = (), changed: bool = True) -> Answer:
        kinds: dict[str, JobType] = {name: kind for name, kind in services.catalogue.items() if name not in without}
        if changed and "echo" in kinds:
            kinds["echo"] = replace(kinds["echo"], parameters=Parameters(new_echo))
        return Command(make_app(replace(services, catalogue=Catalogue(kinds.values()))))("jobs", "check", *arguments)

    return check


def misfits(answer: Answer) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in answer.json["misfits"]}


def test_the_check_warns_of_a_priority_that_no_worker_takes(run, services):
    record = {"state": "idle", "queues": "high,low", "can": "gpu,large"}
    services.client.store.connection.hset("rq:worker:w", mapping=record)
    services.client.store.connection.sadd("rq:workers", "rq:worker:w")
    answer = run("jobs", "check")
    assert answer.code == 0
    assert "Warning: No live worker takes jobs of priority default (WORKER_QUEUES): " in answer.out
    assert len(run("jobs", "check", "--json").json["warnings"]) == 1


def test_an_empty_broker_is_compatible(run):
    answer = run("jobs", "check")
    assert answer.code == 0
    assert answer.out.startswith("Settings:\n") and "\n  PORT=8000\n" in answer.out and "job types: " in answer.out
    assert answer.out.endswith("Checked unfinished jobs: 0, schedules: 0. All are compatible with this code.\n")


def test_secrets_are_not_printed(run, settings):
    for answer in (run("jobs", "check"), run("jobs", "check", "--json")):
        assert settings.secret_key not in answer.out


def test_compatible_jobs_are_counted(run):
    run.submits("echo", "--text", "x")
    run.submits("noop", "--delay", "60")
    assert run("jobs", "check", "--json").json["jobs"] == 2


def test_an_incompatible_job_is_listed_with_the_reason(run, deploy):
    job_id = run.submits("echo", "--text", "x", "--times", "2")
    answer = deploy()
    assert answer.code == 1
    reasons = (
        f"Incompatible: job {job_id} (echo, queued): /loudness: Field required; /times: This parameter does not exist"
    )
    assert reasons in answer.out.replace("\n", " ")
    assert "Checked unfinished jobs: 1, schedules: 0. Incompatible with this code: 1." in answer.out


def test_jobs_in_every_unfinished_state_are_checked(run, deploy, services):
    running = run.submits("echo", "--text", "x", "--priority", "high")
    assert services.client.store.claim("host-1-w", "e1", ["high"]) is not None
    states = {
        running: "running",
        run.submits("echo", "--text", "x"): "queued",
        run.submits("echo", "--text", "x", "--delay", "60", "--priority", "low"): "scheduled",
        run.submits("echo", "--text", "x", "--depends-on", running): "waiting",
    }
    assert {job_id: each["state"] for job_id, each in misfits(deploy("--json")).items()} == states


def test_ended_jobs_are_skipped(run, deploy, services):
    run.submits("echo", "--text", "x")
    end_next(services)
    run("jobs", "cancel", run.submits("echo", "--text", "x"))
    assert deploy("--json").json["fits"] is True


def test_a_job_of_a_removed_type_is_listed(run, deploy):
    job_id = run.submits("noop")
    (fault,) = misfits(deploy("--json", without=("noop",)))[job_id]["faults"]
    assert fault["message"] == "function tests.jobs_for_tests.behaviours.noop is no longer in the catalogue"


def test_a_moved_function_is_listed_with_its_new_path(run, services):
    job_id = run.submits("echo", "--text", "x")
    moved = replace(services.catalogue["echo"], func_name="elsewhere.echo")
    command = Command(make_app(replace(services, catalogue=Catalogue([moved]))))
    (fault,) = misfits(command("jobs", "check", "--json"))[job_id]["faults"]
    assert "calls tests.jobs_for_tests.behaviours.echo, but echo is now elsewhere.echo" in fault["message"]


@pytest.fixture
def renamed(services: Services) -> Any:
    """Run `jobs check` with code in which `on-gpu` needs something else."""

    def check(*needs: str) -> Answer:
        kinds = {**services.catalogue, "on-gpu": replace(services.catalogue["on-gpu"], needs=needs)}
        command = Command(make_app(replace(services, catalogue=Catalogue(kinds.values()))))
        return command("jobs", "check", "--json")

    return check


def test_a_job_that_waits_where_no_worker_looks_is_listed_if_its_needs_have_changed(run, renamed, services):
    job_id = run.submits("on-gpu", "--delay", "60")
    (fault,) = misfits(renamed("large"))[job_id]["faults"]
    assert fault["code"] == "needs_changed"
    assert (
        "waits in queue default@gpu, which no live worker serves, and its job type now needs large" in fault["message"]
    )
    assert "its job type has no needs now" in misfits(renamed())[job_id]["faults"][0]["message"]
    assert misfits(renamed("gpu")) == {}


def test_changed_needs_of_a_job_that_a_worker_will_take_cause_a_warning(run, renamed, services):
    run.submits("on-gpu")
    services.client.store.announce("w", ["gpu"], ["default@gpu"], 60)
    answer = renamed("large")
    assert (answer.code, misfits(answer)) == (0, {})
    warning = "Jobs of on-gpu wait in queue default@gpu: 1. New ones go to another, since its needs have changed."
    assert warning in answer.json["warnings"]


def test_a_running_job_has_its_worker_whatever_its_type_needs_now(run, renamed, services):
    run.submits("on-gpu")
    assert services.client.store.claim("host-1-w", "e1", ["default@gpu"])
    assert misfits(renamed("large")) == {}


@pytest.fixture
def ruled(services: Services) -> Any:
    """Run `jobs check` with code in which `once-a-word` has the rules of another function."""

    def check(**options: Any) -> Answer:
        old = services.catalogue["once-a-word"]
        given = getattr(old.function, OPTIONS)
        rules = Rules(old.function, replace(given, **options))
        changed = replace(old, rules=rules, max_running=rules.max_running)
        kinds = {**services.catalogue, "once-a-word": changed}
        catalogue = Catalogue(kinds.values())
        return Command(make_app(replace(services, catalogue=catalogue)))("jobs", "check")

    return check


def test_unchanged_rules_cause_no_warning(run, ruled):
    run.submits("once-a-word", "--word", "x")
    run.submits("once-a-word", "--word", "x", "--unique-key", "k")
    run.submits("limited-in-three-ways", "--path", "x")
    run.submits("one-at-a-time", "--path", "x")
    assert "with other" not in ruled().out


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"unique": None}, "of once-a-word with other unique keys than new ones: 1. Until they end, an equal"),
        ({"unique": Unique()}, "of once-a-word with other unique keys than new ones: 1."),
        ({"max_running": 2}, "of once-a-word with other limits than new ones: 2. They keep their limits"),
        ({"limits": (Limit(rate="1/hour", by="word"),)}, "of once-a-word with other limits than new ones: 2."),
    ],
)
def test_changed_rules_of_unfinished_jobs_cause_a_warning(run, ruled, options, warning):
    run.submits("once-a-word", "--word", "x")
    run.submits("once-a-word", "--word", "x", "--unique-key", "k")
    answer = ruled(**options)
    assert answer.code == 0
    assert f"Warning: Unfinished jobs {warning}" in answer.out


def test_a_long_queue_is_read_completely_in_chunks(run, deploy, monkeypatch):
    monkeypatch.setattr(deploy_check, "CHUNK", 3)
    ids = {run.submits("echo", "--text", str(number)) for number in range(10)}
    assert set(misfits(deploy("--json"))) == ids


def test_a_step_is_checked_without_the_results_it_waits_for(run, deploy, services):
    kind = services.catalogue["echo"]
    steps = [Step(kind, {"text": "x"}), Step(kind, {"text": {"$ref": "#/steps/0/result/0"}})]
    services.accounts.ensure_admin()
    submit_pipeline(services.client, steps, "admin")
    assert run("jobs", "check").code == 0
    faults = [fault for each in misfits(deploy("--json")).values() for fault in each["faults"]]
    assert {fault["pointer"] for fault in faults} == {"/loudness"}


def test_a_step_with_many_references_can_run(run, services):
    steps = [
        Step(services.catalogue["split"], {"text": "x"}),
        Step(services.catalogue["join"], {"words": [{"$ref": "#/steps/0/result/words/0"}] * 500}),
    ]
    services.accounts.ensure_admin()
    submit_pipeline(services.client, steps, "admin")
    assert run("jobs", "check").code == 0


def test_an_incompatible_schedule_is_listed(run, deploy, services):
    services.accounts.ensure_admin()
    made = Schedules(services.client).create("admin", Plan("echo", {"text": "x"}, "0 3 * * *"))
    assert run("jobs", "check", "--json").json["schedules"] == 1
    assert misfits(deploy("--json"))[made.schedule_id]["what"] == "schedule"
    assert misfits(deploy("--json", without=("echo",)))[made.schedule_id]["faults"][0]["code"] == "job_type_not_found"


def test_a_job_of_plain_rq_needs_only_its_function(run, services, settings):
    queue = Queue("low", connection=services.client.store.connection, serializer="json")
    queue.enqueue("tests.jobs_for_tests.behaviours.echo", "x", "anything")
    assert run("jobs", "check").code == 0
    foreign = queue.enqueue("somewhere.else").id
    assert set(misfits(run("jobs", "check", "--json"))) == {foreign}
    object.__setattr__(settings, "allowed_functions", ("somewhere.else",))
    assert run("jobs", "check").code == 0
    Queue("low", connection=services.client.store.connection).enqueue("pickled.function")
    assert run("jobs", "check").code == 0


def test_an_unreachable_broker_fails_the_release(run, broker):
    broker.connected = False
    answer = run("jobs", "check")
    assert answer.code == 3 and "can't be reached" in answer.err


def test_a_broker_that_becomes_unreachable_fails_the_release(run, services, broker, monkeypatch):
    run.submits("noop")
    replies = malformed.replies

    def cut(pipeline: Any) -> Any:
        broker.connected = False
        return replies(pipeline)

    monkeypatch.setattr(malformed, "replies", cut)
    assert run("jobs", "check", "--json").code == 3


def test_it_is_the_release_step_of_the_procfile():
    lines = (Path(__file__).parents[3] / "Procfile").read_text().splitlines()
    assert "release: flask --app webapp jobs check" in lines


def test_the_document_is_plain_json(run, settings):
    assert json.loads(run("jobs", "check", "--json").out)["settings"] == settings.shown()
