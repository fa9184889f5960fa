"""The figures: how counts are read, and how requests are added to them."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.operate.metrics import INFINITY, Histogram, Metrics, Request
from tests.imitation import ImitatedRedis


@pytest.fixture
def store() -> Store:
    return Store(ImitatedRedis(server=fakeredis.FakeServer(), protocol=2))


def test_a_histogram_adds_up_its_counts() -> None:
    histogram = Histogram((("0.1", 2), ("1", 3), (INFINITY, 1)), 4.5)
    assert histogram.cumulative == [("0.1", 2), ("1", 5), ("+Inf", 6)]


def test_an_empty_broker_has_empty_figures(store: Store) -> None:
    figures = Metrics(store).read()
    assert [queue.name for queue in figures.queues] == ["default", "high", "low"]
    assert figures.jobs == {} and figures.run == {} and figures.workers == {}


def test_requests_of_all_processes_are_added_up(store: Store) -> None:
    first, second = Metrics(store), Metrics(store)
    for metrics, seconds in ((first, 0.02), (second, 0.03), (second, 60.0)):
        metrics.note(Request("GET", "/jobs", 200, seconds))
        metrics.flush()
    figures = first.read()
    assert figures.http == {("GET", "/jobs", "200"): 3}
    histogram = figures.http_seconds["GET", "/jobs"]
    assert dict(histogram.cumulative)["0.025"] == 1
    assert dict(histogram.cumulative)["0.05"] == 2
    assert dict(histogram.cumulative)["+Inf"] == 3
    assert histogram.sum == pytest.approx(60.05)


def test_counts_with_other_labels_are_left_out(store: Store) -> None:
    connection: Any = store.connection
    connection.hset("wh:metrics:jobs", mapping={"noop|completed": 2, "noop": 3, "a|b|c": 4, "x|failed": "many"})
    assert Metrics(store).read().jobs == {("noop", "completed"): 2, ("x", "failed"): 0}
