"""The figures of `/metrics`, as metrics.lua returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.broker.malformed import text, whole
from jobs.engine.queue_names import QueueName, needs_of, priority_of

INFINITY = "inf"
SUM = "sum"
#: The scripts of jobs count their seconds in microseconds.
MICROS = "micros"
#: How many labels each of the counts has.
LABELS = {
    "jobs": 2,
    "retried": 1,
    "resumed": 2,
    "failed": 2,
    "lost": 1,
    "run": 1,
    "wait": 1,
    "http": 3,
    "http_seconds": 2,
}


@dataclass(frozen=True)
class QueueFigures:
    name: str
    #: The length of its list. Cancelled jobs count until a worker drops them.
    depth: int
    #: The longest wait among the jobs near its head.
    oldest_wait_seconds: float
    scheduled: int
    #: How late the first scheduled job is.
    overdue_seconds: float
    deferred: int
    running: int
    #: A live worker serves it.
    served: bool
    #: An operator has paused it, or its priority.
    paused: bool

    @property
    def priority(self) -> str:
        return priority_of(self.name)

    @property
    def needs(self) -> tuple[str, ...]:
        return needs_of(self.name)

    @property
    def ours(self) -> bool:
        """False for a queue of another RQ application."""
        return QueueName.read(self.name) is not None

    @property
    def no_worker(self) -> int:
        """The jobs in it that no live worker can run. Workers of another RQ application can't be known."""
        return self.depth if self.ours and not self.served else 0


@dataclass(frozen=True)
class Histogram:
    #: For each bound, the number of values up to it and above the bound before; infinity is last.
    counts: tuple[tuple[str, int], ...]
    sum: float

    @property
    def cumulative(self) -> list[tuple[str, int]]:
        total, rows = 0, []
        for bound, count in self.counts:
            total += count
            rows.append(("+Inf" if bound == INFINITY else bound, total))
        return rows


Counts = dict[tuple[str, ...], int]
Histograms = dict[tuple[str, ...], Histogram]


@dataclass(frozen=True)
class Figures:
    """The figures of one scrape. Counts are all-time, by their labels."""

    queues: list[QueueFigures]
    workers: dict[str, int]
    #: (job type, status): the number of jobs that reached it. Pending: submitted, or retried by a user.
    jobs: Counts
    #: (job type,)
    retried: Counts
    #: (job type, reason)
    resumed: Counts
    #: (job type, reason)
    failed: Counts
    #: (process,): horses and workers that died with a job.
    lost: Counts
    run: Histograms
    wait: Histograms
    #: (method, route, status)
    http: Counts
    #: (method, route)
    http_seconds: Histograms
    expired_leases: int
    outbox: int
    #: The broker's INFO; empty if the provider does not permit the command.
    broker: dict[str, Any] = field(default_factory=dict)


def read_figures(reply: Sequence[Any], info: dict[str, Any], http_bounds: Sequence[str]) -> Figures:
    """Read the reply of metrics.lua. Malformed counts are left out."""
    queues, workers, counts, bounds, expired_leases, outbox = reply
    found = {name.decode(): _mapping(flat) for name, flat in counts}
    job_bounds = [bound.decode() for bound in bounds]
    return Figures(
        queues=sorted((_queue(row) for row in queues), key=lambda queue: queue.name),
        workers={text(state): int(count) for state, count in workers},
        run=_histograms("run", found.pop("run"), job_bounds),
        wait=_histograms("wait", found.pop("wait"), job_bounds),
        http_seconds=_histograms("http_seconds", found.pop("http_seconds"), http_bounds),
        expired_leases=int(expired_leases),
        outbox=int(outbox),
        broker=info,
        **{name: _counts(name, fields) for name, fields in found.items()},
    )


def _mapping(flat: Sequence[bytes]) -> dict[str, str]:
    return {text(flat[place]): text(flat[place + 1]) for place in range(0, len(flat), 2)}


def _counts(name: str, fields: dict[str, str]) -> Counts:
    """Return counts by their labels."""
    labelled = [(tuple(label.split("|")), count) for label, count in sorted(fields.items())]
    return {labels: whole(count) for labels, count in labelled if len(labels) == LABELS[name]}


def _histograms(name: str, fields: dict[str, str], bounds: Sequence[str]) -> Histograms:
    """Return histograms by their labels."""
    known = {tuple(label.split("|")[:-1]) for label in fields}
    found = {}
    for labels in sorted(each for each in known if len(each) == LABELS[name]):
        prefix = "|".join(labels)
        rows = tuple((bound, whole(fields.get(f"{prefix}|{bound}"))) for bound in (*bounds, INFINITY))
        micros = _number(fields.get(f"{prefix}|{MICROS}"))
        found[labels] = Histogram(rows, _number(fields.get(f"{prefix}|{SUM}")) + micros / 1e6)
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _queue(row: Sequence[Any]) -> QueueFigures:
    name, depth, oldest, scheduled, overdue, deferred, running, served, paused = row
    counts = int(scheduled), float(overdue), int(deferred), int(running)
    return QueueFigures(text(name), int(depth), float(oldest), *counts, served=bool(served), paused=bool(paused))
