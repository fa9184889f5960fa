"""The verdict on limits by key and on unique jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import redis

from .key_traces import all_key_traces
from .traces import Line
from .workload import MOST_RUNNING, MOST_STARTS, PERIOD_SECONDS

Violation = tuple[str, str]


def judge_keys(folder: Path) -> Iterator[Violation]:
    """Yield each execution that ran beside too many others of its key, and each window with too many starts."""
    for name, lines in all_key_traces(folder):
        if name.startswith("keyed"):
            yield from (
                ("OVER THE LIMIT", f"{name}: {line}") for line in lines if line.get("running", 0) > MOST_RUNNING
            )
        else:
            yield from judge_rate(name, lines)


def judge_rate(name: str, lines: list[Line]) -> Iterator[Violation]:
    starts = sorted(line["began"] for line in lines if line["what"] == "started")
    for first, last in zip(starts, starts[MOST_STARTS:], strict=False):
        if last - first < PERIOD_SECONDS:
            yield "OVER THE RATE", f"{name}: {MOST_STARTS + 1} starts in {last - first:.3f} s, from {first:.3f}"


def judge_unique(connection: redis.Redis) -> Iterator[Violation]:
    """Yield each job that was stored before an earlier job with its unique key had ended."""
    jobs: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key in connection.scan_iter("rq:job:*", count=1000):
        if key.count(b":") == 2:
            fields = connection.hmget(key, "unique", "created_at", "ended_at")
            unique, created, ended = ((value or b"").decode() for value in fields)  # type: ignore[union-attr]
            if unique:
                jobs[unique].append((created, ended or "still there", key.decode()))
    for each in jobs.values():
        for (_, ended, first), (created, _, second) in pairwise(sorted(each)):
            if created < ended:
                yield "TWO WITH ONE UNIQUE KEY", f"{second} was stored at {created}, and {first} ended at {ended}"
