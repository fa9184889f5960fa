"""Unique jobs and deadlines over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

BATCHES = "/api/v1/batches"
PIPELINES = "/api/v1/pipelines"


def unique(person: Any, path: str = "once-a-word?unique_key=a+key", **options: Any) -> Any:
    return person.post(f"/api/v1/jobs/{path}", json={"word": "x"}, **options)


def test_an_equal_submission_returns_the_job_that_exists(alice):
    first = unique(alice)
    again = unique(alice)
    assert (first.status_code, again.status_code) == (202, 200)
    assert "deduplicated" not in first.get_json()
    assert again.get_json() == first.get_json() | {"deduplicated": True}
    assert again.headers["Location"] == first.headers["Location"]
    assert first.get_json()["unique_key"] == "a key"
    assert "deduplicated" not in alice.get(first.headers["Location"]).get_json()


def test_the_parameters_of_a_type_may_be_the_key(alice, bob):
    first = alice.submits("once-a-word", {"word": "x", "note": "1"})
    assert first["unique_key"] == "word=x"
    again = alice.post("/api/v1/jobs/once-a-word", json={"word": "x", "note": "2"})
    assert (again.status_code, again.get_json()["job_id"]) == (200, first["job_id"])
    assert bob.submits("once-a-word", {"word": "x"})["job_id"] != first["job_id"]


def test_a_preferred_wait_is_granted_to_an_equal_submission(alice, services):
    job = unique(alice).get_json()
    answer = unique(alice, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.get_json()["status"]) == (200, "pending")
    services.client.cancel(job["job_id"])


def test_an_idempotent_request_is_replayed(alice):
    first = unique(alice)
    headers = {"Idempotency-Key": "i"}
    assert unique(alice, headers=headers).status_code == 200
    replay = unique(alice, headers=headers)
    assert (replay.status_code, replay.headers["Idempotency-Replayed"]) == (202, "true")
    assert replay.get_json()["job_id"] == first.get_json()["job_id"]


def test_a_conflict_is_a_problem_that_names_the_job(alice):
    first = alice.submits("unique-or-refused", {"word": "x"})
    answer = alice.post("/api/v1/jobs/unique-or-refused", json={"word": "x"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "duplicate_job")
    assert first["job_id"] in answer.get_json()["detail"]


def test_newer_parameters_replace_those_of_the_waiting_job(alice):
    first = alice.submits("newest-word?delay=60", {"word": "x"})
    answer = alice.post("/api/v1/jobs/newest-word?delay=600", json={"word": "y"})
    assert answer.status_code == 200
    job = answer.get_json()
    assert (job["job_id"], job["params"], job["deduplicated"]) == (first["job_id"], {"word": "y"}, True)
    assert job["scheduled_at"] > first["scheduled_at"]


def test_newer_parameters_count_their_deadline_from_the_time_of_the_waiting_job(alice):
    first = alice.submits("newest-word?delay=600", {"word": "x"})
    job = alice.post("/api/v1/jobs/newest-word?start_within=1", json={"word": "y"}).get_json()
    assert (job["job_id"], job["scheduled_at"]) == (first["job_id"], first["scheduled_at"])
    assert job["start_by"] > job["scheduled_at"]

    soon = (datetime.now(UTC) + timedelta(seconds=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
    refused = alice.post(f"/api/v1/jobs/newest-word?start_by={soon}", json={"word": "z"})
    assert refused.status_code == 422
    assert [(each["code"], each["parameter"]) for each in refused.get_json()["errors"]] == [
        ("never_starts", "start_by")
    ]
    assert alice.get(first["poll_url"]).get_json()["params"] == {"word": "y"}


def test_a_batch_names_the_entry_that_exists(alice):
    unique(alice)
    entry = {"job_type": "once-a-word", "params": {"word": "y"}, "unique_key": "a key"}
    answer = alice.post(BATCHES, json={"jobs": [{"job_type": "noop"}, entry]})
    assert answer.status_code == 409
    assert answer.get_json()["detail"].startswith("/jobs/1: Job ")


@pytest.mark.parametrize(("address", "name"), [(BATCHES, "jobs"), (PIPELINES, "steps")])
def test_two_jobs_of_a_request_with_the_same_key_are_both_named(alice, address, name):
    entry = {"job_type": "noop", "unique_key": "k"}
    answer = alice.post(address, json={name: [{"job_type": "noop"}, entry, {"job_type": "noop"}, entry]})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "duplicate_job")
    assert answer.get_json()["detail"].startswith(f"/{name}/3: This job has the same unique key as /{name}/1 ")


def test_a_step_of_a_pipeline_takes_the_options_of_a_job(alice):
    step = {"job_type": "once-a-word", "params": {"word": "z"}, "unique_key": "k", "start_within": 60, "tag": "t"}
    other = {"job_type": "noop", "priority": "high"}
    answer = alice.post(PIPELINES, json={"steps": [step, other]})
    assert answer.status_code == 202, answer.text
    one, two = (alice.get(f"/api/v1/jobs/{each}").get_json() for each in answer.get_json()["job_ids"])
    assert (one["unique_key"], one["tags"], one["start_by"] is not None) == ("k", ["t"], True)
    assert (two["priority"], two["pending_reason"]) == ("high", "waiting")


def test_a_key_can_not_be_the_result_of_an_earlier_step(alice):
    first = {"job_type": "echo", "params": {"text": "x"}}
    second = {"job_type": "once-a-word", "params": {"word": {"$ref": "#/steps/0/result"}}}
    answer = alice.post(PIPELINES, json={"steps": [first, second]})
    assert answer.status_code == 422
    (fault,) = answer.get_json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/steps/1/params/word", "key_unknown")
    assert alice.post(PIPELINES, json={"steps": [first, second | {"unique_key": "k"}]}).status_code == 202


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ("start_by=2020-01-01T00:00:00Z", "start_by"),
        ("start_by=2090-01-01T00:00:00", "start_by"),
        ("start_by=tomorrow", "start_by"),
        ("start_by=2090-01-01T00:00:00Z&start_within=5", "start_within"),
        ("start_within=0", "start_within"),
        ("start_within=-1", "start_within"),
        ("start_within=1e9", "start_within"),
        ("start_within=31536001", "start_within"),
        ("run_at=2091-01-01T00:00:00Z&start_by=2090-01-01T00:00:00Z", "start_by"),
        ("unique_key=", "unique_key"),
        (f"unique_key={'k' * 256}", "unique_key"),
        ("unique_key=a%0Ab", "unique_key"),
        ("unique_key=a&unique_key=b", "unique_key"),
    ],
)
def test_an_option_that_cannot_be_met_is_refused(alice, options, parameter):
    answer = alice.post(f"/api/v1/jobs/noop?{options}", json={})
    assert answer.status_code == 422, answer.text
    assert [fault["parameter"] for fault in answer.get_json()["errors"]] == [parameter]


def test_an_entry_of_a_batch_that_would_never_start_is_named(alice):
    answer = alice.post(
        BATCHES, json={"jobs": [{"job_type": "noop"}, {"job_type": "noop", "start_by": "2020-01-01T00:00:00Z"}]}
    )
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/jobs/1/start_by"]


def test_a_deadline_is_shown(alice):
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert alice.submits(f"noop?start_by={later}")["start_by"] == later.replace("Z", ".000000Z")
    assert alice.submits("soon-or-never")["start_by"] is not None
    assert alice.submits()["start_by"] is None


def test_a_key_in_any_script_is_kept_as_it_is(alice):
    job = alice.submits("noop?unique_key=Z%C3%BCrich%20%E2%9C%93")
    assert job["unique_key"] == "Zürich ✓"


def test_a_lone_surrogate_in_a_key_is_refused(alice):
    answer = alice.post(
        BATCHES, data=b'{"jobs": [{"job_type": "noop", "unique_key": "\\ud800"}]}', content_type="application/json"
    )
    assert answer.status_code in (400, 422), answer.text


def test_a_job_type_shows_its_rules(alice):
    shown = alice.get("/api/v1/job-types/newest-word").get_json()
    assert shown["unique"] == {"by": [], "until": "end", "ttl": None, "on_conflict": "replace"}
    assert alice.get("/api/v1/job-types/soon-or-never").get_json()["start_within"] == 60
    limits = alice.get("/api/v1/job-types/limited-in-three-ways").get_json()["limits"]
    assert limits[1:] == [
        {"running": None, "rate": "5/second", "by": []},
        {"running": 1, "rate": None, "by": ["key", "user"]},
    ]
