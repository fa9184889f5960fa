"""Counting a user's requests and events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import statistics
from jobs.engine import user_document
from jobs.predictions import log_prediction
from jobs.statistics import update_analytics, update_user_stats


def test_requests_are_counted_by_kind_and_by_user(in_job: Callable[..., Any]) -> None:
    for number, kind in enumerate(["predict", "predict", "search"]):
        with in_job(f"job-{number}"):
            stats = update_user_stats(kind)
    with in_job("bobs", user="bob"):
        bobs = update_user_stats("predict")

    assert (stats.request_count, stats.by_kind) == (3, {"predict": 2, "search": 1})
    assert stats.last_request_at is not None
    assert bobs.request_count == 1


def test_a_job_that_runs_again_is_counted_once(in_job: Callable[..., Any]) -> None:
    for _ in range(2):
        with in_job("job-1"):
            stats = update_user_stats("predict")
            analytics = update_analytics("order-created")
            logged = log_prediction("a text", "positive", 0.9)

    assert (stats.request_count, analytics.total, logged.total) == (1, 1, 1)


def test_events_are_counted_by_day(in_job: Callable[..., Any]) -> None:
    with in_job("seed"), user_document("analytics") as analytics:
        analytics |= {"days": {"2020-01-01": {"order-created": 4}}, "totals": {"order-created": 4}}
    with in_job("job-1"):
        counted = update_analytics("order-created")

    assert (counted.today, counted.total) == (1, 5)


def test_the_number_of_counted_names_is_limited(in_job: Callable[..., Any]) -> None:
    with in_job("seed"), user_document("analytics") as analytics:
        analytics["totals"] = {f"event-{number}": 1 for number in range(statistics.MAX_EVENTS)}
    with in_job("job-1"):
        update_analytics("one-too-many")
    with in_job("job-2"), user_document("analytics") as analytics:
        assert len(analytics["totals"]) == statistics.MAX_EVENTS + 1
        assert analytics["totals"][statistics.OTHER] == 1


def test_the_prediction_log_keeps_the_newest_entries(in_job: Callable[..., Any]) -> None:
    with in_job("seed"), user_document("predictions") as log:
        log |= {"total": 1_000, "newest": [{"job_id": f"old-{number}"} for number in range(1_000)]}
    with in_job("job-1"):
        assert log_prediction("a text", "positive", 0.9).total == 1_001
    with in_job("job-2"), user_document("predictions") as log:
        assert (len(log["newest"]), log["newest"][-1]["text"]) == (1_000, "a text")


def test_the_functions_run_outside_a_job(data_dir: Path) -> None:
    assert update_user_stats().request_count == 1
    assert update_user_stats().request_count == 2
