"""Batches and pipelines over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from webapp.services import Services

BATCHES = "/api/v1/batches"
PIPELINES = "/api/v1/pipelines"
ECHO = {"job_type": "echo", "params": {"text": "hi"}}


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [fault["pointer"] for fault in answer.get_json()["errors"]]


def nothing_is_stored(services: Services) -> bool:
    return sum(services.client.counts("alice").values()) == 0


# --- batches --------------------------------------------------------------------------


def test_a_batch_is_stored_and_shown_with_its_jobs(alice):
    answer = alice.post(BATCHES, json={"jobs": [ECHO, ECHO, {"job_type": "noop"}]})

    batch = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{BATCHES}/{batch['batch_id']}"
    assert answer.headers["Retry-After"] == "1"
    assert set(batch) == {"batch_id", "status", "progress", "counts", "job_ids"}
    assert (batch["status"], batch["progress"], len(batch["job_ids"])) == ("pending", 0.0, 3)
    assert batch["counts"] == {"pending": 3, "running": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert alice.get(answer.headers["Location"]).get_json() == batch
    types = [alice.get(f"/api/v1/jobs/{each}").get_json()["job_type"] for each in batch["job_ids"]]
    assert types == ["echo", "echo", "noop"]


def test_an_entry_takes_the_options_of_a_submission(alice):
    first = alice.submits()["job_id"]
    entry = ECHO | {"priority": "high", "timeout": 60, "tag": ["a", "b"], "depends_on": [first]}
    later = ECHO | {"delay": 30, "tag": "one"}
    at = ECHO | {"run_at": "2099-01-01T00:00:00Z"}
    ids = alice.post(BATCHES, json={"jobs": [entry, later, at]}).get_json()["job_ids"]

    one, two, three = (alice.get(f"/api/v1/jobs/{each}").get_json() for each in ids)
    assert (one["priority"], one["tags"], one["pending_reason"]) == ("high", ["a", "b"], "waiting")
    assert (two["tags"], two["pending_reason"]) == (["one"], "scheduled")
    assert three["scheduled_at"] == "2099-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("entry", "pointer"),
    [
        ({"job_type": "echo", "params": {"text": 3}}, "/jobs/1/params/text"),
        ({"job_type": "echo", "params": {}}, "/jobs/1/params/text"),
        ({"job_type": "echo", "params": {"text": "x", "func": "os.system"}}, "/jobs/1/params/func"),
        ({"job_type": "ecko", "params": {"text": "x"}}, "/jobs/1/job_type"),
        ({"params": {}}, "/jobs/1/job_type"),
        ({"job_type": "noop", "params": []}, "/jobs/1/params"),
        (ECHO | {"queue": "high"}, "/jobs/1/queue"),
        (ECHO | {"user_id": "bob"}, "/jobs/1/user_id"),
        (ECHO | {"job_id": "x"}, "/jobs/1/job_id"),
        (ECHO | {"priority": "urgent"}, "/jobs/1/priority"),
        (ECHO | {"timeout": True}, "/jobs/1/timeout"),
        (ECHO | {"timeout": "60"}, "/jobs/1/timeout"),
        (ECHO | {"delay": -1}, "/jobs/1/delay"),
        (ECHO | {"run_at": 1_700_000_000}, "/jobs/1/run_at"),
        (ECHO | {"delay": 1, "run_at": "2099-01-01T00:00:00Z"}, "/jobs/1/run_at"),
        (ECHO | {"tag": ["no spaces"]}, "/jobs/1/tag/0"),
        (ECHO | {"depends_on": ["nobody"]}, "/jobs/1/depends_on/0"),
    ],
    ids=str,
)
def test_a_batch_with_an_invalid_entry_is_refused_with_a_pointer(alice, services, entry, pointer):
    assert pointers(alice.post(BATCHES, json={"jobs": [ECHO, entry, ECHO]})) == [pointer]
    assert nothing_is_stored(services)


def test_every_invalid_entry_is_reported(alice):
    bad = {"job_type": "echo", "params": {"text": 3}}
    assert pointers(alice.post(BATCHES, json={"jobs": [bad, ECHO, bad]})) == [
        "/jobs/0/params/text",
        "/jobs/2/params/text",
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"jobs": []}, "/jobs"),
        ({"jobs": [{"job_type": "noop"}] * 1_001}, "/jobs"),
        ({}, "/jobs"),
        ({"jobs": [ECHO], "queue": "x"}, "/queue"),
        ({"jobs": {"0": ECHO}}, "/jobs"),
    ],
    ids=["empty", "too many", "missing", "unknown", "no list"],
)
@pytest.mark.settings(max_params_bytes=1_000_000)
def test_a_malformed_batch_is_refused(alice, body, pointer):
    assert pointers(alice.post(BATCHES, json=body)) == [pointer]


@pytest.mark.settings(max_active_jobs_per_user=3)
def test_a_batch_over_the_limit_of_active_jobs_is_refused(alice, services):
    alice.submits()

    answer = alice.post(BATCHES, json={"jobs": [ECHO] * 3})

    assert (answer.status_code, answer.get_json()["code"]) == (429, "too_many_active_jobs")
    assert services.client.counts("alice")["pending"] == 1


def test_a_repeat_with_the_same_key_returns_the_same_batch(alice, services):
    key = {"Idempotency-Key": "k"}
    first = alice.post(BATCHES, json={"jobs": [ECHO, ECHO]}, headers=key)
    again = alice.post(BATCHES, json={"jobs": [ECHO, ECHO]}, headers=key)
    other = alice.post(BATCHES, json={"jobs": [ECHO]}, headers=key)

    assert again.get_json() == first.get_json()
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert services.client.counts("alice")["pending"] == 2


def test_a_key_whose_batch_is_gone_starts_a_new_batch(alice, services):
    key = {"Idempotency-Key": "k"}
    first = alice.post(BATCHES, json={"jobs": [ECHO]}, headers=key).get_json()["batch_id"]
    services.client.store.connection.delete(f"wh:group:{first}")

    second = alice.post(BATCHES, json={"jobs": [ECHO]}, headers=key)
    again = alice.post(BATCHES, json={"jobs": [ECHO]}, headers=key)

    assert second.status_code == 202 and "Idempotency-Replayed" not in second.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["batch_id"] == second.get_json()["batch_id"] != first


def test_only_its_owner_and_admins_see_a_batch(alice, bob, admin, stranger):
    address = alice.post(BATCHES, json={"jobs": [ECHO]}).headers["Location"]

    assert stranger.get(address).status_code == 401
    for call in (bob.get, bob.delete):
        answer = call(address)
        assert answer.status_code == 403 and "echo" not in answer.text
    assert admin.get(address).status_code == 200
    assert alice.get(f"{BATCHES}/nothing").status_code == 404
    # A batch is not a pipeline.
    assert alice.get(address.replace("batches", "pipelines")).status_code == 404


def test_a_batch_may_not_wait_for_another_user_s_job(alice, bob, services):
    theirs = bob.submits()["job_id"]
    assert alice.post(BATCHES, json={"jobs": [ECHO, ECHO | {"depends_on": [theirs]}]}).status_code == 403
    assert nothing_is_stored(services)


def test_cancelling_a_batch_cancels_its_unfinished_jobs(alice, services):
    batch = alice.post(BATCHES, json={"jobs": [ECHO, ECHO, ECHO]}).get_json()
    address = f"{BATCHES}/{batch['batch_id']}"
    running = services.client.store.claim("worker", "execution", ["default"])
    assert running.job_id == batch["job_ids"][0]

    answer = alice.delete(address)
    assert (answer.status_code, answer.get_json()["counts"]["cancelled"], answer.get_json()["status"]) == (
        202,
        2,
        "running",
    )
    services.client.store.finish(running.job_id, "execution", "worker", Outcome(OutcomeKind.CANCELLED))
    assert alice.get(address).get_json() | {"job_ids": []} == {
        "batch_id": batch["batch_id"],
        "status": "cancelled",
        "progress": 100.0,
        "counts": {"pending": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 3},
        "job_ids": [],
    }
    again = alice.delete(address)
    assert (again.status_code, again.get_json()["code"]) == (409, "group_ended")


def test_a_batch_expires_with_its_last_job_and_remembers_expired_ones(alice, services):
    batch = alice.post(BATCHES, json={"jobs": [ECHO, ECHO]}).get_json()
    address, connection = f"{BATCHES}/{batch['batch_id']}", services.client.store.connection
    key = f"wh:group:{batch['batch_id']}"
    for number, job_id in enumerate(batch["job_ids"]):
        services.client.store.claim("worker", f"e{number}", ["default"])
        assert connection.ttl(key) == -1
        outcome = Outcome(OutcomeKind.COMPLETED) if number else Outcome(OutcomeKind.FAILED, "x", "X")
        services.client.store.finish(job_id, f"e{number}", "worker", outcome)
    assert connection.ttl(key) > 0 and connection.ttl(f"{key}:ended") > 0

    connection.delete(f"rq:job:{batch['job_ids'][0]}")
    shown = alice.get(address).get_json()
    assert (shown["status"], shown["counts"]["failed"], shown["counts"]["completed"]) == ("failed", 1, 1)

    second = alice.post(BATCHES, json={"jobs": [ECHO]}).get_json()
    alice.delete(f"{BATCHES}/{second['batch_id']}")
    assert connection.ttl(f"wh:group:{second['batch_id']}") > 0
    alice.post(f"/api/v1/jobs/{second['job_ids'][0]}/retry")
    assert connection.ttl(f"wh:group:{second['batch_id']}") == -1
    assert alice.get(f"{BATCHES}/{second['batch_id']}").get_json()["status"] == "pending"


# --- pipelines --------------------------------------------------------------------------


def ref(text: str) -> dict[str, str]:
    return {"$ref": text}


SPLIT = {"job_type": "split", "params": {"text": "to be or"}}
JOIN = {"job_type": "join", "params": {"words": ref("#/steps/0/result/words")}}


def test_a_pipeline_is_stored_and_shown_with_its_steps(alice):
    answer = alice.post(PIPELINES, json={"steps": [SPLIT, JOIN]})

    pipeline = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{PIPELINES}/{pipeline['pipeline_id']}"
    assert set(pipeline) == {"pipeline_id", "status", "progress", "job_ids", "steps"}
    assert [(step["step"], step["job_type"], step["status"]) for step in pipeline["steps"]] == [
        (0, "split", "pending"),
        (1, "join", "pending"),
    ]
    first, second = (alice.get(f"/api/v1/jobs/{each}").get_json() for each in pipeline["job_ids"])
    assert (first["pending_reason"], second["pending_reason"]) == ("queued", "waiting")
    assert second["params"] == JOIN["params"]
    assert alice.get(answer.headers["Location"]).get_json() == pipeline


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"job_type": "join", "params": {"words": ref("#/steps/1/result")}}, "/steps/1/params/words/$ref"),
        ({"job_type": "join", "params": {"words": ref("#/steps/2/result")}}, "/steps/1/params/words/$ref"),
        ({"job_type": "join", "params": {"words": [ref("#/jobs/0")]}}, "/steps/1/params/words/0"),
        (
            {"job_type": "join", "params": {"words": ref("#/steps/0/result"), "separator": 3}},
            "/steps/1/params/separator",
        ),
        ({"job_type": "join", "params": {"words": ref("#/steps/0/result"), "x": 1}}, "/steps/1/params/x"),
        ({"job_type": "join", "params": {"words": [], "x": ref("#/steps/0/result")}}, "/steps/1/params/x"),
        ({"job_type": "repeat", "params": {"text": ref("#/steps/0/result")}}, "/steps/1/params/times"),
        ({"job_type": "repeat", "params": {"text": 1, "times": ref("#/steps/0/result/count")}}, "/steps/1/params/text"),
        ({"job_type": "jion", "params": {}}, "/steps/1/job_type"),
        ({"job_type": "noop", "params": {}, "depends_on": []}, "/steps/1/depends_on"),
    ],
    ids=str,
)
def test_a_pipeline_with_an_invalid_step_is_refused_with_a_pointer(alice, services, step, pointer):
    assert pointers(alice.post(PIPELINES, json={"steps": [SPLIT, step, SPLIT]})) == [pointer]
    assert nothing_is_stored(services)


def test_an_unknown_name_gives_the_same_error_with_a_reference_as_with_a_value(alice):
    def errors(value: object) -> object:
        step = {"job_type": "join", "params": {"words": [], "separatr": value}}
        answer = alice.post(PIPELINES, json={"steps": [SPLIT, step]})
        return answer.status_code, answer.get_json()["errors"]

    assert errors(ref("#/steps/0/result/words")) == errors("-")


def test_a_step_may_have_more_references_than_errors_are_listed(alice):
    join = {"job_type": "join", "params": {"words": [ref("#/steps/0/result/words/0")] * 500}}
    assert alice.post(PIPELINES, json={"steps": [SPLIT, join]}).status_code == 202


def test_the_number_of_listed_errors_of_a_pipeline_is_limited(alice):
    step = {"job_type": "join", "params": {"words": [ref("#/steps/9/result")] * 150}}
    places = pointers(alice.post(PIPELINES, json={"steps": [SPLIT, step, SPLIT]}))
    assert places == [*(f"/steps/1/params/words/{number}/$ref" for number in range(100)), ""]


def test_an_error_after_many_references_is_reported(alice, services):
    words = [*[ref("#/steps/0/result/words/0")] * 500, 3]
    join = {"job_type": "join", "params": {"words": words}}
    assert pointers(alice.post(PIPELINES, json={"steps": [SPLIT, join]})) == ["/steps/1/params/words/500"]
    assert nothing_is_stored(services)


def test_the_first_step_can_not_refer_to_another_step(alice):
    assert pointers(alice.post(PIPELINES, json={"steps": [JOIN]})) == ["/steps/0/params/words/$ref"]


def test_cancelling_a_pipeline_cancels_every_step(alice, bob):
    pipeline = alice.post(PIPELINES, json={"steps": [SPLIT, JOIN, SPLIT]}).get_json()
    address = f"{PIPELINES}/{pipeline['pipeline_id']}"
    assert bob.get(address).status_code == bob.delete(address).status_code == 403

    answer = alice.delete(address)

    assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert [(step["status"], step["error"]) for step in answer.get_json()["steps"]] == [("cancelled", None)] * 3
    assert alice.delete(address).status_code == 409


def test_a_repeat_with_the_same_key_returns_the_same_pipeline(alice):
    key = {"Idempotency-Key": "k"}
    first, again = (alice.post(PIPELINES, json={"steps": [SPLIT, JOIN]}, headers=key) for _ in range(2))
    assert again.get_json() == first.get_json() and again.headers["Idempotency-Replayed"] == "true"
    # A key belongs to one request, even across routes.
    assert alice.post(BATCHES, json={"jobs": [ECHO]}, headers=key).status_code == 422


@pytest.mark.parametrize(
    ("place", "sent"),
    [(BATCHES, {"jobs": [ECHO, ECHO]}), (PIPELINES, {"steps": [ECHO, ECHO]})],
    ids=["batch", "pipeline"],
)
def test_a_new_user_does_not_see_the_groups_of_a_deleted_user_of_the_same_name(alice, admin, registered, place, sent):
    address = alice.post(place, json=sent).headers["Location"]
    assert admin.delete("/api/v1/users/alice").status_code == 204
    another = registered("alice")
    assert [person.get(address).status_code for person in (another, admin)] == [404, 404]
