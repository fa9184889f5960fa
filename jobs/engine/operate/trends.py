"""Throughput, failures and waiting times of the last day, from samples of the counts of `/metrics`.

The scheduler of each host takes a sample once a minute, and only the first sample of a minute is kept. So a day takes
1,440 short entries, and reading it costs the same however many jobs there were.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, readable_all
from jobs.engine.broker.store.store import Store
from jobs.engine.states import Status

from .figures import Figures
from .metrics import Metrics

KEY = "wh:trend"
STEP_SECONDS = 60
KEEP_SECONDS = 86_400
_HOUR = 3_600

# ARGV: seconds of a step, seconds to keep, the sample. One entry for each step, by the broker's clock.
_NOTE = """
local now = tonumber(redis.call('TIME')[1])
local at = now - now % tonumber(ARGV[1])
if redis.call('ZCOUNT', KEYS[1], at, at) > 0 then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at - tonumber(ARGV[2]))
return redis.call('ZADD', KEYS[1], at, at .. ' ' .. ARGV[3])
"""


@dataclass(frozen=True)
class Sample:
    """All-time counts, and the depth of the queues now."""

    completed: int
    failed: int
    cancelled: int
    #: Starts of jobs, and the total time that they waited before.
    started: int
    waited_seconds: float
    depth: int

    @classmethod
    def of(cls, figures: Figures) -> Sample:
        def ended(status: Status) -> int:
            return sum(count for (_type, name), count in figures.jobs.items() if name == status)

        return cls(
            completed=ended(Status.COMPLETED),
            failed=ended(Status.FAILED),
            cancelled=ended(Status.CANCELLED),
            started=sum(each.cumulative[-1][1] for each in figures.wait.values()),
            waited_seconds=sum(each.sum for each in figures.wait.values()),
            depth=sum(queue.depth for queue in figures.queues),
        )


@dataclass(frozen=True)
class Minute:
    """The difference between two samples. They are a minute apart, unless no scheduler ran."""

    #: The end of the minute, in seconds since 1970.
    at: int
    completed: int
    failed: int
    cancelled: int
    #: The mean wait of the jobs that started; None if none did.
    wait_seconds: float | None
    #: The depth of the queues at the end.
    depth: int


@dataclass(frozen=True)
class Hour:
    """The minutes of one hour, at least one."""

    start: datetime
    completed: int
    failed: int
    cancelled: int
    #: The longest of the minutes' means.
    wait_seconds: float

    @classmethod
    def of(cls, minutes: Sequence[Minute]) -> Hour:
        return cls(
            start=datetime.fromtimestamp((minutes[0].at - 1) // _HOUR * _HOUR, UTC),
            completed=sum(each.completed for each in minutes),
            failed=sum(each.failed for each in minutes),
            cancelled=sum(each.cancelled for each in minutes),
            wait_seconds=max(each.wait_seconds or 0.0 for each in minutes),
        )


@dataclass(frozen=True)
class Trend:
    minutes: tuple[Minute, ...]

    def as_columns(self) -> dict[str, list[Any]]:
        return {each.name: [getattr(minute, each.name) for minute in self.minutes] for each in fields(Minute)}

    @property
    def hours(self) -> list[Hour]:
        """Sums by hour, the latest hour first."""
        by_hour: defaultdict[int, list[Minute]] = defaultdict(list)
        for minute in self.minutes:
            by_hour[(minute.at - 1) // _HOUR].append(minute)
        return [Hour.of(by_hour[number]) for number in sorted(by_hour, reverse=True)]


class Trends:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Any = store.connection
        self._note: Any = store.connection.register_script(_NOTE)

    def note(self) -> None:
        """Store a sample for this minute, unless there is one."""
        sample = Sample.of(Metrics(self._store).read())
        with broker_errors():
            self._note(keys=[KEY], args=[STEP_SECONDS, KEEP_SECONDS, json.dumps(asdict(sample))])

    def read(self) -> Trend:
        """Return the minutes of the last day."""
        with broker_errors():
            rows = readable(KEY, lambda: self._connection.zrange(KEY, 0, -1)) or []
        pairs = pairwise(readable_all(KEY, _sample, rows))
        return Trend(tuple(_minute(before, at, after) for (_, before), (at, after) in pairs))


def _sample(row: bytes) -> tuple[int, Sample]:
    at, text = row.split(b" ", 1)
    sample = Sample(**json.loads(text))
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in astuple(sample)):
        raise TypeError("it has a value that is not a number")
    return int(at), sample


def _minute(before: Sample, at: int, after: Sample) -> Minute:
    started = max(0, after.started - before.started)
    waited = max(0.0, after.waited_seconds - before.waited_seconds)
    return Minute(
        at=at,
        completed=max(0, after.completed - before.completed),
        failed=max(0, after.failed - before.failed),
        cancelled=max(0, after.cancelled - before.cancelled),
        wait_seconds=round(waited / started, 3) if started else None,
        depth=after.depth,
    )
