"""Count HTTP requests, and read the figures of `/metrics`.

Jobs are counted by the scripts that move them (`measure` in store/library/counts.lua). HTTP requests are counted here:
each web process adds its requests to counts in the broker four times a second, after the responses, so a scrape of any
web process shows the requests of all. A process that is killed loses the requests of its last quarter of a second.
While the broker can't be reached, the newest 10,000 requests are kept.

The figures are read in one round trip, whose cost does not grow with the backlog.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from jobs.engine.broker.background_writer import BackgroundWriter
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.store import Store
from jobs.engine.states import Priority

from .figures import INFINITY, SUM, Figures, read_figures

#: Bounds of the histogram of HTTP durations, in seconds.
HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Request(NamedTuple):
    """One HTTP request that was responded to."""

    method: str
    #: The route's rule, not the path: there are few rules.
    route: str
    status: int
    #: Up to the first byte of the response.
    seconds: float


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
            reply, info = self._store.counters.read([*Priority])
        return read_figures(reply, info, [f"{bound:g}" for bound in HTTP_BOUNDS])

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
