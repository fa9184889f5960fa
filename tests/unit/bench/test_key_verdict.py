"""The chaos harness finds windows with too many starts, jobs of one key at the same time, and equal unique keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from bench.chaos.key_traces import KeyTrace
from bench.chaos.key_verdict import judge_keys, judge_rate, judge_unique


def starts(*times: float) -> list[dict[str, Any]]:
    return [{"what": "started", "began": time} for time in times]


@pytest.mark.parametrize(
    ("times", "found"),
    [((0.0, 0.1, 1.0), 0), ((0.0, 0.1, 0.999), 1), ((5.0, 0.0, 5.5, 5.9), 1), ((), 0), ((0.0, 0.0), 0)],
)
def test_each_window_with_too_many_starts_is_found(times: tuple[float, ...], found: int):
    assert len(list(judge_rate("rated 1", starts(*times)))) == found


def test_jobs_of_one_key_at_the_same_time_are_found(tmp_path: Path):
    first, second, third = (KeyTrace("keyed 1", tmp_path) for _ in range(3))
    first.write_start()
    first.write_end()
    second.write_start()
    assert list(judge_keys(tmp_path)) == []
    third.write_start()
    assert [kind for kind, _what in judge_keys(tmp_path)] == ["OVER THE LIMIT"]


def test_a_job_whose_process_was_killed_is_not_running(tmp_path: Path):
    if (child := os.fork()) == 0:
        KeyTrace("keyed 1", tmp_path).write_start()
        os._exit(0)
    os.waitpid(child, 0)
    KeyTrace("keyed 1", tmp_path).write_start()
    assert list(judge_keys(tmp_path)) == []


@pytest.mark.parametrize(("ended", "found"), [("2030-01-31T12:00:02Z", 1), (None, 1), ("2030-01-31T12:00:01Z", 0)])
def test_two_jobs_with_one_unique_key_are_found(ended: str | None, found: int):
    broker: Any = fakeredis.FakeRedis()
    first = {"unique": "k", "created_at": "2030-01-31T12:00:00Z"} | ({"ended_at": ended} if ended else {})
    broker.hset("rq:job:a", mapping=first)
    broker.hset("rq:job:b", mapping={"unique": "k", "created_at": "2030-01-31T12:00:01Z"})
    broker.hset("rq:job:c", mapping={"created_at": "2030-01-31T12:00:01Z"})
    assert len(list(judge_unique(broker))) == found
