"""Submitting, polling, listing, cancelling and retrying over HTTP."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from jobs.engine.client.submission import Submission
from tests.waiting import eventually
from webapp.services import Services

JOBS = "/api/v1/jobs"


def codes(answer: Any) -> list[str]:
    return [fault["code"] for fault in answer.get_json()["errors"]]


def parameters(answer: Any) -> set[str]:
    assert answer.status_code == 422, answer.text
    return {fault["parameter"] for fault in answer.get_json()["errors"]}


# --- submitting -------------------------------------------------------------------


def test_a_submission_returns_202_with_the_address_and_the_job(alice):
    answer = alice.post(f"{JOBS}/echo", json={"text": "hi"})
    job = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{JOBS}/{job['job_id']}" == job["poll_url"]
    assert answer.headers["Retry-After"] == "1"
    assert "Idempotency-Replayed" not in answer.headers
    assert (job["status"], job["pending_reason"], job["user_id"]) == ("pending", "queued", "alice")
    assert job["params"] == {"text": "hi"} and job["version"] == 1


def test_an_unknown_job_type_is_404_and_suggests_a_similar_one(alice):
    answer = alice.post(f"{JOBS}/ecko", data="not json")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "job_type_not_found")
    assert "echo" in answer.get_json()["detail"]


def test_every_option_is_stored_with_the_job(alice):
    first = alice.submits()["job_id"]
    query = f"priority=high&timeout=60&tag=a&tag=b:1&depends_on={first}"
    job = alice.submits("echo?" + query, {"text": "x"})
    assert (job["priority"], job["tags"], job["pending_reason"]) == ("high", ["a", "b:1"], "waiting")


@pytest.mark.parametrize("option", ["delay=30", "delay=0.5", "run_at=2099-01-01T00:00:00Z"])
def test_a_job_for_later_is_scheduled(alice, option):
    job = alice.submits(f"noop?{option}")
    assert (job["pending_reason"], job["status"]) == ("scheduled", "pending")
    assert job["scheduled_at"].endswith("Z")


def test_a_time_in_another_zone_is_shown_in_utc(alice):
    assert alice.submits("noop?run_at=2099-01-01T00:00:00%2B02:00")["scheduled_at"].startswith("2098-12-31T22:00:00")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("priority=urgent", "priority"),
        ("priority=high&priority=low", "priority"),
        ("delay=-1", "delay"),
        ("delay=nan", "delay"),
        ("delay=inf", "delay"),
        ("delay=1e3", "delay"),
        ("delay=31536001", "delay"),
        ("delay=1&run_at=2099-01-01T00:00:00Z", "run_at"),
        ("run_at=2099-01-01T00:00:00", "run_at"),
        ("run_at=1700000000", "run_at"),
        ("run_at=2099-13-01T00:00:00Z", "run_at"),
        ("run_at=9999-12-31T23:59:59-01:00", "run_at"),
        ("run_at=2099-01-01T00:00:00+01:00", "run_at"),
        ("timeout=0", "timeout"),
        ("timeout=1.5", "timeout"),
        ("timeout=86401", "timeout"),
        ("timeout=1_0", "timeout"),
        ("timeout=", "timeout"),
        ("tag=a%20b", "tag"),
        ("tag=a%0A", "tag"),
        ("tag=" + "x" * 65, "tag"),
        ("&".join(f"tag=t{n}" for n in range(11)), "tag"),
        ("&".join(f"depends_on=j{n}" for n in range(101)), "depends_on"),
        ("depends_on=unknown", "depends_on"),
        ("webhook_url=http://10.0.0.1/", "webhook_url"),
        ("queue=high", "queue"),
        ("user_id=bob", "user_id"),
    ],
)
def test_an_invalid_option_is_refused_by_name_and_nothing_is_stored(alice, query, parameter):
    assert parameters(alice.post(f"{JOBS}/noop?{query}", json={})) == {parameter}
    assert alice.get(JOBS).get_json()["jobs"] == []


def test_all_invalid_options_are_reported_at_once(alice):
    assert parameters(alice.post(f"{JOBS}/noop?timeout=0&delay=-1&tag=%20", json={})) == {"timeout", "delay", "tag"}


@pytest.mark.parametrize("field", ["func", "queue", "user_id", "job_id"])
def test_an_unknown_parameter_is_refused(alice, field):
    answer = alice.post(f"{JOBS}/echo", json={"text": "x", field: "y"})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [f"/{field}"]


def test_waiting_for_another_user_s_job_is_forbidden(alice, bob):
    foreign = bob.submits()["job_id"]
    assert alice.post(f"{JOBS}/noop?depends_on={foreign}", json={}).status_code == 403


def test_a_body_over_its_limit_is_refused_before_bad_options(alice):
    answer = alice.post(f"{JOBS}/echo?bad=1", json={"text": "x" * 20_000})
    assert (answer.status_code, answer.get_json()["code"]) == (413, "payload_too_large")


# --- repeating --------------------------------------------------------------------


def test_a_repeat_with_the_same_key_returns_the_same_job(alice):
    headers = {"Idempotency-Key": "k1"}
    first = alice.post(f"{JOBS}/echo?tag=a&tag=b&priority=low", json={"text": "x", "times": 2}, headers=headers)
    again = alice.post(
        f"{JOBS}/echo?priority=low&tag=b&tag=a",
        data='{"times":2, "text":"x"}',
        headers=headers | {"Content-Type": "application/json"},
    )
    assert again.status_code == 202
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["job_id"] == first.get_json()["job_id"]
    assert len(alice.get(JOBS).get_json()["jobs"]) == 1


@pytest.mark.parametrize(
    ("path", "body"), [("echo", {"text": "y"}), ("echo?priority=low", {"text": "x"}), ("noop", {})]
)
def test_a_key_that_was_used_for_another_request_is_refused(alice, path, body):
    headers = {"Idempotency-Key": "k1"}
    alice.submits("echo", {"text": "x"}, headers=headers)
    answer = alice.post(f"{JOBS}/{path}", json=body, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_reused")
    assert parameters(answer) == {"Idempotency-Key"}


def test_two_callers_may_use_the_same_key(alice, bob):
    headers = {"Idempotency-Key": "k1"}
    assert alice.submits(headers=headers)["job_id"] != bob.submits(headers=headers)["job_id"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "ü", "tab\tbed"])
def test_a_malformed_key_is_400(alice, key):
    answer = alice.post(f"{JOBS}/noop", json={}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "malformed_request")


def test_a_refused_submission_does_not_use_up_its_key(alice):
    headers = {"Idempotency-Key": "k1"}
    assert alice.post(f"{JOBS}/echo", json={}, headers=headers).status_code == 422
    alice.submits("echo", {"text": "x"}, headers=headers)


def test_a_key_whose_job_is_gone_starts_a_new_job(alice, services: Services):
    headers = {"Idempotency-Key": "k1"}
    first = alice.submits("echo", {"text": "x"}, headers=headers)
    services.client.store.connection.delete(f"rq:job:{first['job_id']}")

    second = alice.post(f"{JOBS}/echo", json={"text": "y"}, headers=headers)
    again = alice.post(f"{JOBS}/echo", json={"text": "y"}, headers=headers)

    assert second.status_code == 202 and "Idempotency-Replayed" not in second.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["job_id"] == second.get_json()["job_id"] != first["job_id"]


# --- preferring to wait -------------------------------------------------------------


def test_a_job_that_does_not_end_within_the_preferred_wait_is_202(alice):
    answer = alice.post(f"{JOBS}/noop", json={}, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_job_that_ends_within_the_preferred_wait_is_200(alice, services: Services):
    def cancel_soon() -> None:
        (job,) = eventually(lambda: services.client.page("alice").jobs, "the job is submitted")
        services.client.cancel(job.job_id)

    threading.Thread(target=cancel_soon).start()
    answer = alice.post(f"{JOBS}/noop", json={}, headers={"Prefer": 'respond-async, wait="20"; x=y'})
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.get_json()["status"] == "cancelled"
    assert "Retry-After" not in answer.headers


def test_a_repeated_request_honours_its_own_preference(alice):
    headers = {"Idempotency-Key": "k1"}
    alice.delete(alice.submits(headers=headers)["poll_url"])
    plain = alice.post(f"{JOBS}/noop", json={}, headers=headers)
    waiting = alice.post(f"{JOBS}/noop", json={}, headers=headers | {"Prefer": "wait=5"})
    assert (plain.status_code, waiting.status_code) == (202, 200)
    assert waiting.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("preference", ["wait=26", "wait=-1", "wait=soon", "wait", "wait=1.5", "wait=٣"])
def test_a_preferred_wait_that_cannot_be_granted_is_refused(alice, preference):
    answer = alice.post(f"{JOBS}/noop", json={}, headers={"Prefer": preference.encode().decode("latin-1")})
    assert parameters(answer) == {"Prefer"}


def test_other_preferences_are_ignored(alice):
    assert alice.submits(headers={"Prefer": "return=minimal"})["status"] == "pending"


# --- polling --------------------------------------------------------------------------


def test_a_poll_returns_the_job_with_its_version(alice):
    job = alice.submits()
    answer = alice.get(job["poll_url"])
    assert answer.status_code == 200
    assert answer.get_json()["job_id"] == job["job_id"]
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Retry-After"] == "1"


def test_a_head_request_is_like_get_without_the_body(alice):
    answer = alice("HEAD", alice.submits()["poll_url"])
    assert (answer.status_code, answer.headers["ETag"], answer.data) == (200, '"1"', b"")


def test_an_ended_job_has_no_retry_after(alice):
    job = alice.submits()
    alice.delete(job["poll_url"])
    assert "Retry-After" not in alice.get(job["poll_url"] + "?wait=20").headers


@pytest.mark.parametrize("held", ['"1"', 'W/"1"', '"0", "1"', 'W/"7","1"', "*"])
def test_a_client_with_the_current_version_gets_304(alice, held):
    answer = alice.get(alice.submits()["poll_url"], headers={"If-None-Match": held})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("held", ['"0"', '"2"', '"x"', '"11"'])
def test_a_client_with_another_version_gets_the_current_one_at_once(alice, held):
    answer = alice.get(alice.submits()["poll_url"] + "?wait=20", headers={"If-None-Match": held})
    assert answer.status_code == 200


def cancel_once_waiting(services: Services, job_id: str) -> None:
    """Cancel the job in another thread, as soon as a poll waits for it."""

    def run() -> None:
        eventually(lambda: len(services.follower.watches), "a poll waits")
        services.client.cancel(job_id)

    threading.Thread(target=run).start()


def test_a_long_poll_returns_as_soon_as_there_is_a_newer_version(alice, services: Services):
    job = alice.submits()
    cancel_once_waiting(services, job["job_id"])
    answer = alice.get(job["poll_url"] + "?wait=20", headers={"If-None-Match": '"1"'})
    assert answer.status_code == 200
    assert answer.get_json()["version"] == 2


def test_a_long_poll_without_a_version_returns_when_the_job_ends(alice, services: Services):
    job = alice.submits()
    cancel_once_waiting(services, job["job_id"])
    assert alice.get(job["poll_url"] + "?wait=20").get_json()["status"] == "cancelled"


def test_a_long_poll_without_news_returns_304_or_the_job(alice):
    url = alice.submits()["poll_url"] + "?wait=1"
    started = time.monotonic()
    assert alice.get(url, headers={"If-None-Match": '"1"'}).status_code == 304
    assert alice.get(url).status_code == 200
    assert 2 <= time.monotonic() - started < 20


@pytest.mark.parametrize("wait", ["26", "-1", "x", "", "1&wait=2"])
def test_a_wait_that_cannot_be_granted_is_refused(alice, wait):
    assert parameters(alice.get(f"{alice.submits()['poll_url']}?wait={wait}")) == {"wait"}


def test_an_unknown_job_is_404(alice):
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("GET", "/logs"), ("GET", "/events")]:
        assert alice(method, f"{JOBS}/unknown{path}?bad=1").status_code == 404


def test_another_user_s_job_is_forbidden_and_nothing_of_it_leaks(alice, bob, admin):
    job = alice.submits("echo", {"text": "secret"})
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("GET", "/logs"), ("GET", "/events")]:
        answer = bob(method, f"{job['poll_url']}{path}?wait=99")
        assert answer.status_code == 403
        assert "secret" not in answer.text and "alice" not in answer.text
    assert admin.get(job["poll_url"]).status_code == 200


# --- listing ----------------------------------------------------------------------------


def test_the_list_has_the_caller_s_jobs_newest_first_in_pages(alice, bob):
    ids = [alice.submits()["job_id"] for _ in range(5)]
    bob.submits()
    page = alice.get(f"{JOBS}?limit=2").get_json()
    seen = [job["job_id"] for job in page["jobs"]]
    while cursor := page["next_cursor"]:
        page = alice.get(f"{JOBS}?limit=2&cursor={cursor}").get_json()
        seen += [job["job_id"] for job in page["jobs"]]
    assert seen == ids[::-1]


def test_the_list_is_filtered(alice):
    cancelled = alice.submits("noop?tag=a")
    alice.delete(cancelled["poll_url"])
    kept = alice.submits("echo?tag=b", {"text": "x"})
    for query, expected in [
        ("status=cancelled", cancelled),
        ("job_type=echo", kept),
        ("tag=a", cancelled),
        (f"created_after={cancelled['created_at']}", kept),
        (f"created_before={kept['created_at']}", cancelled),
    ]:
        found = alice.get(f"{JOBS}?{query}").get_json()["jobs"]
        assert [job["job_id"] for job in found] == [expected["job_id"]], query


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=zzzz", "cursor"),
        ("created_after=yesterday", "created_after"),
        ("order=asc", "order"),
        ("status=failed&status=running", "status"),
    ],
)
def test_an_invalid_filter_is_refused_by_name(alice, query, parameter):
    assert parameters(alice.get(f"{JOBS}?{query}")) == {parameter}


def test_only_an_admin_lists_another_user_s_jobs(alice, bob, admin):
    job = alice.submits()
    assert bob.get(f"{JOBS}?user_id=alice&bad=1").status_code == 403
    assert alice.get(f"{JOBS}?user_id=alice").status_code == 200
    assert [each["job_id"] for each in admin.get(f"{JOBS}?user_id=alice").get_json()["jobs"]] == [job["job_id"]]
    assert admin.get(JOBS).get_json()["jobs"] == []


# --- cancelling, retrying, logs, events -----------------------------------------------------


def test_cancelling_a_pending_job_is_200_and_again_409(alice):
    url = alice.submits()["poll_url"]
    first, second = alice.delete(url), alice.delete(url)
    assert (first.status_code, first.get_json()["status"]) == (200, "cancelled")
    assert (second.status_code, second.get_json()["code"]) == (409, "job_ended")


def test_cancelling_a_running_job_is_202(alice, services: Services):
    job = alice.submits()
    assert services.client.store.claim("worker", "execution", ["default"])
    answer = alice.delete(job["poll_url"])
    assert (answer.status_code, answer.get_json()["status"]) == (202, "running")


def test_only_an_ended_job_can_be_retried(alice):
    job = alice.submits()
    early = alice.post(job["poll_url"] + "/retry")
    assert (early.status_code, early.get_json()["code"]) == (409, "job_not_retryable")
    alice.delete(job["poll_url"])
    answer = alice.post(job["poll_url"] + "/retry", json={})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    assert answer.headers["Location"] == job["poll_url"]


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_a_retry_above_the_limit_of_active_jobs_is_429_until_there_is_room(alice, admin):
    first = alice.submits()
    alice.delete(first["poll_url"])
    second = alice.submits()

    for caller in (alice, admin):
        refused = caller.post(first["poll_url"] + "/retry")
        assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_active_jobs")
        assert refused.headers["Retry-After"] == "5"
    assert alice.get(first["poll_url"]).get_json()["status"] == "cancelled"

    alice.delete(second["poll_url"])
    assert alice.post(first["poll_url"] + "/retry").status_code == 202


@pytest.mark.settings(max_active_jobs_per_user=1)
def test_the_limit_does_not_apply_to_retries_of_a_job_without_an_owner(services: Services):
    noop = services.client.catalogue.find("noop")
    services.client.submit_unowned([Submission(noop, {}, "", job_id=job_id) for job_id in ("unowned", "other")])
    services.client.cancel("unowned")
    assert services.client.retry("unowned").status == "pending"


def test_a_retry_takes_no_body(alice):
    url = alice.submits()["poll_url"] + "/retry"
    answer = alice.post(url, json={"params": {}})
    assert answer.status_code == 422
    assert codes(answer) == ["extra_forbidden"]
    assert parameters(alice.post(url + "?delay=1")) == {"delay"}


def test_logs_and_events_are_read_in_pages_and_in_order(alice):
    job = alice.submits()
    alice.delete(job["poll_url"])
    assert alice.get(job["poll_url"] + "/logs").get_json() == {"lines": [], "next_cursor": None}
    events = alice.get(job["poll_url"] + "/events").get_json()["events"]
    assert [event["type"] for event in events] == ["job_queued", "job_cancelled"]
    assert [event["version"] for event in events] == [1, 2]
    assert parameters(alice.get(job["poll_url"] + "/logs?limit=1001&x=1")) == {"x"}
    assert parameters(alice.get(job["poll_url"] + "/events?limit=1")) == {"limit"}


# --- job types ------------------------------------------------------------------------------


def test_job_types_are_listed_and_described(alice):
    page = alice.get("/api/v1/job-types").get_json()
    assert "echo" in [each["name"] for each in page["job_types"]] and page["next_cursor"] is None
    one = alice.get("/api/v1/job-types/echo").get_json()
    assert one["params_schema"]["required"] == ["text"]
    assert alice.get("/api/v1/job-types/ecko").status_code == 404
    assert alice.get("/api/v1/job-types?x=1").status_code == 422


def test_every_time_is_rfc_3339_in_utc(alice):
    job = alice.get(alice.submits()["poll_url"]).get_json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job["created_at"])
