"""Trends: the minutes between two samples, and their sums by hour."""

from __future__ import annotations

import json
from typing import Any

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.operate.trends import KEEP_SECONDS, KEY, Trends
from tests.imitation import ImitatedRedis


@pytest.fixture
def connection() -> Any:
    return ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)


@pytest.fixture
def trends(connection: Any) -> Trends:
    return Trends(Store(connection))


def sample(connection: Any, at: int, **counts: float) -> None:
    names = ("completed", "failed", "cancelled", "started", "waited_seconds", "depth")
    connection.zadd(KEY, {f"{at} {json.dumps(dict.fromkeys(names, 0) | counts)}": at})


def test_a_minute_is_the_difference_of_two_samples(connection: Any, trends: Trends) -> None:
    sample(connection, 60, completed=5, started=10, waited_seconds=4, depth=9)
    sample(connection, 120, completed=8, started=12, waited_seconds=7, depth=2)
    (minute,) = trends.read().minutes
    assert (minute.at, minute.completed, minute.failed, minute.wait_seconds, minute.depth) == (120, 3, 0, 1.5, 2)


def test_a_minute_without_starts_has_no_wait(connection: Any, trends: Trends) -> None:
    sample(connection, 60, started=3)
    sample(connection, 120, started=3)
    assert trends.read().as_columns()["wait_seconds"] == [None]


def test_counts_that_restart_at_zero_never_become_negative(connection: Any, trends: Trends) -> None:
    sample(connection, 60, completed=100, waited_seconds=50)
    sample(connection, 120, completed=1)
    (minute,) = trends.read().minutes
    assert minute.completed == 0


def test_hours_are_sums_with_the_latest_first(connection: Any, trends: Trends) -> None:
    for number, at in enumerate((60, 120, 3_600, 3_660)):
        sample(connection, at, completed=number, started=number, waited_seconds=number * 2)
    latest, first = trends.read().hours
    assert (latest.start.hour, latest.completed) == (1, 1)
    assert (first.start.hour, first.completed, first.wait_seconds) == (0, 2, 2.0)


def test_one_sample_is_stored_for_a_minute(connection: Any, trends: Trends) -> None:
    trends.note()
    (first,) = connection.zrange(KEY, 0, -1)
    trends.note()
    kept = connection.zrange(KEY, 0, -1)
    assert first in kept and len(kept) <= 2  # two, if a minute has just begun


def test_samples_of_more_than_a_day_ago_are_removed(connection: Any, trends: Trends) -> None:
    now = int(connection.time()[0])
    sample(connection, now - KEEP_SECONDS - 120)
    trends.note()
    assert connection.zcount(KEY, "-inf", now - KEEP_SECONDS - 61) == 0
