"""Metrics: the requests of all processes, in one set of counts."""

from __future__ import annotations

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.operate.metrics import Metrics, Request
from tests.imitation import ImitatedRedis


@pytest.fixture
def store() -> Store:
    return Store(ImitatedRedis(server=fakeredis.FakeServer(), protocol=2))


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
