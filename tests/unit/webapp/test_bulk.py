"""Bulk actions over HTTP and on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from tests.unit.webapp.command import Command

BULK = "/api/v1/jobs/bulk"
RETRY = {"action": "retry", "filter": {"status": "failed", "error_type": "timeout"}}


@pytest.fixture
def services(services, monkeypatch):
    """Add the engine's own job types, which the other tests do without."""
    catalogue = Catalogue.discover(["jobs", "tests.jobs_for_tests"])
    services.client.catalogue = catalogue
    object.__setattr__(services, "catalogue", catalogue)
    return services


@pytest.fixture
def command(app) -> Command:
    return Command(app)


def test_a_bulk_action_is_a_job_of_its_own(alice):
    answer = alice.post(BULK, json=RETRY)
    job = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == job["poll_url"]
    shown = {name: job[name] for name in ("job_type", "user_id", "status", "priority", "params")}
    assert shown == {
        "job_type": "bulk-action",
        "user_id": "alice",
        "status": "pending",
        "priority": "high",
        "params": RETRY,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "pause", "filter": {"status": "failed"}}, "/action"),
        ({"filter": {"status": "failed"}}, "/action"),
        ({"action": "retry"}, "/filter"),
        ({"action": "retry", "filter": {}}, "/filter"),
        ({"action": "retry", "filter": None}, "/filter"),
        ({"action": "retry", "filter": {"status": "done"}}, "/filter/status"),
        ({"action": "retry", "filter": {"status": ["failed"]}}, "/filter/status"),
        ({"action": "retry", "filter": {"limit": 5}}, "/filter/limit"),
        ({"action": "retry", "filter": {"error": "x" * 300}}, "/filter/error"),
        ({"action": "retry", "filter": {"created_after": 5}}, "/filter/created_after"),
        ({"action": "retry", "filter": {"user_id": 5}}, "/filter/user_id"),
        ({"action": "retry", "filter": {"status": "failed"}, "user_id": "bob"}, "/user_id"),
    ],
    ids=str,
)
def test_a_bulk_action_that_is_not_valid_is_refused(alice, body: Any, pointer: str):
    answer = alice.post(BULK, json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


@pytest.mark.parametrize("blanks", [" ", " \t\n", "\u2003\u00a0"])
def test_a_text_of_blanks_is_refused_in_plain_english(alice, command, blanks: str):
    answer = alice.post(BULK, json={"action": "retry", "filter": {"error": blanks}})
    message = "contains only white space; expected at least one word"
    fault = {"pointer": "/filter/error", "message": message, "code": "string_pattern_mismatch"}
    assert (answer.status_code, answer.get_json()["errors"]) == (422, [fault])
    refused = command("jobs", "bulk", "retry", "--error", blanks, "--as", "alice")
    assert (refused.code, message in refused.err) == (2, True), refused.err


def test_the_schema_of_the_filter_has_the_pattern_of_a_text(alice):
    schema = alice.get("/api/v1/job-types/bulk-action").get_json()["params_schema"]
    assert schema["$defs"]["JobFilter"]["properties"]["error"]["anyOf"][0]["pattern"] == r"\S"


def test_a_body_that_is_not_an_object_and_a_query_are_refused(alice):
    assert alice.post(BULK, json=[RETRY]).status_code == 422
    assert alice.post(BULK, json=RETRY, query_string={"priority": "low"}).status_code == 422
    assert alice.post(BULK, data="{", headers={"Content-Type": "application/json"}).status_code == 400
    assert alice.post(BULK, data="x").status_code == 415


@pytest.mark.parametrize("owner", ["bob", "*"])
def test_only_administrators_act_on_the_jobs_of_others(alice, admin, owner: str):
    body = {"action": "delete", "filter": {"user_id": owner, "status": "failed"}}
    assert alice.post(BULK, json=body).status_code == 403
    assert admin.post(BULK, json=body).status_code == 202
    assert alice.post(BULK, json=body | {"filter": {"user_id": "alice"}}).status_code == 202


def test_a_repeated_request_starts_nothing(alice):
    first, again = (alice.post(BULK, json=RETRY, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert again.get_json()["job_id"] == first.get_json()["job_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = alice.post(BULK, json=RETRY | {"action": "delete"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


@pytest.mark.settings(max_active_jobs_per_user=2)
def test_a_user_with_too_many_unfinished_jobs_can_still_cancel_them(alice):
    alice.submits()
    alice.submits()
    assert alice.post("/api/v1/jobs/noop", json={}).status_code == 429
    cancel = {"action": "cancel", "filter": {"job_type": "noop"}}
    codes = [alice.post(BULK, json=cancel).status_code for _ in range(11)]
    assert codes == [*[202] * 10, 429]


def test_a_bulk_action_is_audited(alice, services):
    job_id = alice.post(BULK, json=RETRY).get_json()["job_id"]
    entry = services.audit.page().entries[0].act
    assert (entry.action, entry.user_id, entry.subject) == ("bulk-action", "alice", job_id)


def test_the_command_line_submits_a_bulk_action(command, services, admin):
    time = "2030-01-31T12:00:00+01:00"
    answer = command("jobs", "bulk", "retry", "--error-type", "timeout", "--created-after", time, "--user", "*")
    job = services.client.find(answer.out.strip())
    conditions = {"error_type": "timeout", "created_after": "2030-01-31T11:00:00.000000Z", "user_id": "*"}
    assert (job.user_id, job.params) == ("admin", {"action": "retry", "filter": conditions})
    act = services.audit.page().entries[0].act
    assert (act.action, act.user_id, act.subject) == ("bulk-action", "admin", job.job_id)
    assert command("jobs", "bulk", "cancel", "--tag", "t", "--json").json["job_type"] == "bulk-action"


def test_the_command_line_refuses_what_the_api_refuses(command, alice, admin):
    assert command("jobs", "bulk", "retry").code == 2
    assert command("jobs", "bulk", "pause", "--tag", "t").code == 2
    early = command("jobs", "bulk", "retry", "--created-after", "0001-01-01T00:00:00+14:00")
    assert (early.code, "is not a time" in early.err) == (2, True)
    assert command("jobs", "bulk", "delete", "--tag", "t", "--as", "alice", "--user", "bob").code == 5
