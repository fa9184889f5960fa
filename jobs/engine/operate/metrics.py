"""The figures of `/metrics`, read from the broker in one round trip. Its cost does not grow with the backlog.

The scripts that move jobs also count them (`measure` in store/library/counts.lua). HTTP requests are counted here:
each web process adds its requests to counts in the broker four times a second, after the responses, so a scrape of any
web process shows the requests of all. A process that is killed loses the requests of its last quarter of a second.
While the broker can't be reached, the newest 10,000 requests are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.broker.background_writer import BackgroundWriter
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import text, whole
from jobs.engine.broker.store.store import Store
from jobs.engine.states import Priority

#: Bounds of the histogram of HTTP durations, in seconds.
HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
INFINITY = "inf"
SUM = "sum"
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
class Request:
    """One HTTP request that was responded to."""

    method: str
    #: The route's rule, not the path: there are few rules.
    route: str
    status: int
    #: Up to the first byte of the response.
    seconds: float


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
    #: (job type, status): the number of jobs that reached it. Pending: submitted.
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


class Metrics:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer: BackgroundWriter[Request] = BackgroundWriter("metrics", self._add)

    def note(self, request: Request) -> None:
        """Count a request within a quarter of a second. It neither blocks nor raises."""
        self._writer.add(request)

    def flush(self) -> None:
        """Write the requests that were noted, now."""
        self._writer.flush()

    def read(self) -> Figures:
        """Return the figures. Raises BrokerUnavailable if the broker can't be reached."""
        self.flush()
        with broker_errors():
            (queues, workers, counts, bounds, expired, outbox), info = self._store.counters.read([*Priority])
        found = {name.decode(): _mapping(flat) for name, flat in counts}
        of_jobs = [bound.decode() for bound in bounds]
        of_http = [f"{bound:g}" for bound in HTTP_BOUNDS]
        return Figures(
            queues=sorted((_queue(row) for row in queues), key=lambda queue: queue.name),
            workers={text(state): int(count) for state, count in workers},
            run=_histograms("run", found.pop("run"), of_jobs),
            wait=_histograms("wait", found.pop("wait"), of_jobs),
            http_seconds=_histograms("http_seconds", found.pop("http_seconds"), of_http),
            expired_leases=int(expired),
            outbox=int(outbox),
            broker=info,
            **{name: _counts(name, fields) for name, fields in found.items()},
        )

    def _add(self, requests: Sequence[Request]) -> None:
        counts: Counter[str] = Counter()
        buckets: Counter[str] = Counter()
        sums: defaultdict[str, float] = defaultdict(float)
        for each in requests:
            route = f"{each.method}|{each.route}"
            bound = next((f"{bound:g}" for bound in HTTP_BOUNDS if each.seconds <= bound), INFINITY)
            counts[f"{route}|{each.status}"] += 1
            buckets[f"{route}|{bound}"] += 1
            sums[f"{route}|{SUM}"] += each.seconds
        self._store.counters.add({"http": counts, "http_seconds": buckets}, {"http_seconds": sums})


def _mapping(flat: Sequence[bytes]) -> dict[str, str]:
    return {text(flat[place]): text(flat[place + 1]) for place in range(0, len(flat), 2)}


def _counts(name: str, fields: dict[str, str]) -> Counts:
    """Return counts by their labels, without malformed ones."""
    labelled = [(tuple(label.split("|")), count) for label, count in sorted(fields.items())]
    return {labels: whole(count) for labels, count in labelled if len(labels) == LABELS[name]}


def _histograms(name: str, fields: dict[str, str], bounds: Sequence[str]) -> Histograms:
    """Return histograms by their labels, without malformed ones."""
    known = {tuple(label.split("|")[:-1]) for label in fields}
    found = {}
    for labels in sorted(each for each in known if len(each) == LABELS[name]):
        prefix = "|".join(labels)
        rows = tuple((bound, whole(fields.get(f"{prefix}|{bound}"))) for bound in (*bounds, INFINITY))
        found[labels] = Histogram(rows, _number(fields.get(f"{prefix}|{SUM}")))
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _queue(row: Sequence[Any]) -> QueueFigures:
    name, depth, oldest, scheduled, overdue, deferred, running = row
    return QueueFigures(
        text(name), int(depth), float(oldest), int(scheduled), float(overdue), int(deferred), int(running)
    )
