"""/metrics: its access and its counts."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from jobs.engine.operate.figures import Histogram
from jobs.engine.operate.metrics import HTTP_BOUNDS, Request

from .command import Command, end_next


@pytest.fixture
def run(app: Flask) -> Command:
    return Command(app)


def samples(person: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values by name and labels."""
    answer = person.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


# --- access ------------------------------------------------------------------------------


def test_metrics_are_for_administrators(stranger, alice, admin):
    assert stranger.get("/metrics").status_code == 401
    assert alice.get("/metrics").status_code == 403
    assert admin.get("/metrics").content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert admin.get("/metrics?x=1").status_code == 422


def test_metrics_are_503_without_a_broker(admin, broker):
    admin.get("/metrics")
    broker.connected = False
    assert admin.get("/metrics").status_code == 503


# --- jobs ------------------------------------------------------------------------------


def test_each_job_is_counted_once_for_each_status_that_it_reaches(run, services, admin):
    for kind in ("completed", "failed"):
        run.submits("noop")
        end_next(services, kind, error="no", error_type="timeout")
    cancelled = run.submits("noop", "--delay", "60")
    run("jobs", "cancel", cancelled)
    run("jobs", "retry", cancelled)
    found = samples(admin)
    counts = {status: count for (kind, status), count in found["workhorse_jobs_total"].items() if kind == "noop"}
    assert counts == {"pending": 4, "running": 2, "completed": 1, "failed": 1, "cancelled": 1}
    assert found["workhorse_jobs_active"] == {("noop",): 1}
    assert found["workhorse_jobs_failed_total"] == {("noop", "timeout"): 1}


def test_an_exception_class_of_a_job_is_not_a_label(run, services, admin):
    run.submits("noop")
    end_next(services, "failed", error="no", error_type="SomethingOfTheAuthor's")
    assert samples(admin)["workhorse_jobs_failed_total"] == {("noop", "error"): 1}


def test_retries_resumptions_and_deaths_are_counted(run, services, admin):
    run.submits("noop")
    end_next(services, "retrying")
    services.client.store.promote()
    end_next(services, "resumed", reason="shutdown")
    end_next(services, "resumed", reason="worker_lost", deaths=1)
    found = samples(admin)
    assert found["workhorse_jobs_retried_total"] == {("noop",): 1}
    assert found["workhorse_jobs_resumed_total"] == {("noop", "shutdown"): 1, ("noop", "worker_lost"): 1}
    assert found["workhorse_lost_total"] == {("horse",): 1, ("worker",): 0}
    assert found["workhorse_jobs_total"]["noop", "pending"] == 1


def test_run_and_wait_times_are_histograms(run, services, admin):
    run.submits("noop")
    end_next(services)
    found = samples(admin)
    for name in ("workhorse_job_run_seconds", "workhorse_job_wait_seconds"):
        buckets = [count for (kind, _le), count in found[f"{name}_bucket"].items() if kind == "noop"]
        assert len(buckets) == 13 and buckets == sorted(buckets) and buckets[-1] == 1
        assert found[f"{name}_count"] == {("noop",): 1}
        assert 0 <= found[f"{name}_sum"]["noop",] < 5


def test_the_buckets_of_a_histogram_are_cumulative():
    assert Histogram((("0.1", 2), ("1", 0), ("inf", 3)), 9.0).cumulative == [("0.1", 2), ("1", 2), ("+Inf", 5)]


# --- queues and workers ---------------------------------------------------------------------


def test_the_current_lengths_of_the_queues_are_shown(run, services, admin):
    running = run.submits("noop", "--priority", "high")
    services.client.store.claim("host-1-w", "e1", ["high"])
    run.submits("noop", "--priority", "low")
    run.submits("noop", "--delay", "60")
    run.submits("noop", "--depends-on", running)
    found = samples(admin)
    assert found["workhorse_queue_depth"] == {("default",): 0, ("high",): 0, ("low",): 1}
    assert found["workhorse_queue_scheduled"]["default",] == 1
    assert found["workhorse_queue_deferred"]["default",] == 1
    assert found["workhorse_queue_running"]["high",] == 1
    assert found["workhorse_queue_overdue_seconds"]["default",] == 0


def test_the_oldest_wait_skips_cancelled_jobs_and_includes_put_back_ones(run, services, admin):
    connection = services.client.store.connection
    head, second, third = (run.submits("noop") for _ in range(3))
    for job_id, ready_at in ((head, 1_000), (second, 2_000), (third, 1_500)):
        connection.hset(f"rq:job:{job_id}", "ready_at", ready_at)
    run("jobs", "cancel", head)
    now = float(connection.time()[0])
    assert samples(admin)["workhorse_queue_oldest_wait_seconds"]["default",] == pytest.approx(now - 1_500, abs=5)


def test_late_scheduled_jobs_and_expired_leases_are_shown(run, services, admin):
    connection = services.client.store.connection
    job_id = run.submits("noop", "--delay", "60")
    now = float(connection.time()[0])
    connection.zadd("rq:scheduled:default", {job_id: now - 100})
    connection.zadd("wh:leases", {"gone:e1": now - 100, "live:e2": now + 100})
    found = samples(admin)
    assert found["workhorse_queue_overdue_seconds"]["default",] == pytest.approx(100, abs=5)
    assert found["workhorse_expired_leases"] == {(): 1}


def test_workers_are_counted_by_state(services, admin):
    connection = services.client.store.connection
    for name, state in (("a", "busy"), ("b", "idle"), ("c", "idle")):
        connection.sadd("rq:workers", f"rq:worker:{name}")
        connection.hset(f"rq:worker:{name}", "state", state)
    connection.sadd("rq:workers", "rq:worker:whose-record-has-expired")
    assert samples(admin)["workhorse_workers"] == {("busy",): 1, ("idle",): 2}


# --- HTTP -----------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_not_by_path(alice, stranger, admin):
    alice.get("/api/v1/jobs/one")
    alice.get("/api/v1/jobs/two")
    stranger.get("/some/where")
    stranger.open("/healthz", method="BREW")
    found = samples(admin)
    assert found["workhorse_http_requests_total"]["GET", "/api/v1/jobs/<job_id>", "404"] == 2
    assert found["workhorse_http_requests_total"]["GET", "(none)", "401"] == 1
    assert {method for method, *_ in found["workhorse_http_requests_total"]} == {"GET", "OTHER"}
    assert found["workhorse_http_request_seconds_count"]["GET", "/api/v1/jobs/<job_id>"] == 2


def test_the_counts_of_all_web_processes_are_added(services, settings, admin):
    from jobs.engine.operate.metrics import Metrics

    for _ in range(2):
        process = Metrics(services.client.store)
        process.note(Request("POST", "/somewhere", 202, 0.02))
        process.note(Request("POST", "/somewhere", 202, 99.0))
        process.flush()
    found = samples(admin)
    assert found["workhorse_http_requests_total"]["POST", "/somewhere", "202"] == 4
    buckets = {
        le: count
        for (le, method, _route), count in found["workhorse_http_request_seconds_bucket"].items()
        if method == "POST"
    }
    assert (buckets["0.01"], buckets["0.025"], buckets["30"], buckets["+Inf"]) == (0, 2, 2, 4)
    assert len(buckets) == len(HTTP_BOUNDS) + 1
    assert found["workhorse_http_request_seconds_sum"]["POST", "/somewhere"] == pytest.approx(198.04)
