"""The clients: they submit every wish, resend those without a response, cancel some, and poll the jobs."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import redis

from jobs.engine.broker.connection import UNREACHABLE
from jobs.engine.states import FROM_RQ

from .interfaces import Acked, Answer, Interface, Refused, Unknown
from .ledger import Entry, Ledger
from .traces import Trace
from .workload import Wish, deploy_wishes
from .world import World

SUBMITTERS = 3
#: The clients wait while there are this many unfinished jobs: a long queue would hide how soon a job runs again.
OPEN_JOBS = 60
RESEND_SECONDS = 0.4
POLL_SECONDS = 0.25


@dataclass
class Clients:
    world: World
    interface: Interface
    ledger: Ledger
    wishes: Iterator[Wish]
    #: The wishes are spread over this many seconds.
    seconds: float
    count: int
    _threads: list[threading.Thread] = field(default_factory=list)
    _cancels: queue.Queue[tuple[float, Entry]] = field(default_factory=queue.Queue)
    _taking: threading.Lock = field(default_factory=threading.Lock)
    _taken: int = 0
    _began: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)
    _last_acked: Entry | None = None
    #: Errors of the clients themselves. With any, the run is invalid.
    errors: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._guarded, args=(self._submit_all,)) for _ in range(SUBMITTERS)]
        for thread in self._threads:
            thread.start()
        for work in (self._cancel_all, self._poll_all):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    @property
    def submitting(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._done.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # after any error, the run must report that it is invalid
            self.errors.append(f"{getattr(work, '__name__', work)}: {error!r}")
            raise

    # --- submitting ---------------------------------------------------------------------------

    def _submit_all(self) -> None:
        while (wish := self._next()) is not None:
            self._make(wish)

    def _next(self) -> Wish | None:
        with self._taking:
            while len(self.ledger.unfinished()) >= OPEN_JOBS or self._too_early():
                time.sleep(0.01)
            self._taken += 1
            return next(self.wishes, None)

    def _too_early(self) -> bool:
        """Return True if the next wish must wait. The pace is even, so that every fault finds running jobs."""
        return self._taken > self.count * (time.monotonic() - self._began) / self.seconds + SUBMITTERS

    def _make(self, wish: Wish) -> None:
        flawed = self._with_flaw(wish)
        if flawed is None:
            return
        wish, depends_on, key = flawed
        entry = self.ledger.open(wish)
        copies = [threading.Thread(target=self._ask, args=(entry, depends_on, key)) for _ in range(wish.copies - 1)]
        for copy in copies:
            copy.start()
        self._ask(entry, depends_on, key)
        for copy in copies:
            copy.join()
        if entry.job_ids and not wish.flaw:
            self._last_acked = entry
        if wish.cancel_after_seconds is not None and entry.job_ids:
            self._cancels.put((time.monotonic() + wish.cancel_after_seconds, entry))

    def _with_flaw(self, wish: Wish) -> tuple[Wish, tuple[str, ...], str] | None:
        """Return the wish, the ids it depends on, and its key. Some are made invalid on purpose."""
        if wish.flaw == "unknown_dependency":
            return replace(wish, after=None), (uuid4().hex,), wish.key
        if wish.flaw == "reused_key":
            last = self._last_acked
            return (replace(wish, after=None), (), last.wish.key) if last else None
        parent = self.ledger.entries.get(wish.after) if wish.after is not None else None
        return wish, (parent.job_id,) if parent and parent.job_id else (), wish.key

    def _ask(self, entry: Entry, depends_on: tuple[str, ...], key: str) -> None:
        while True:
            asked_at = time.monotonic()
            answer: Answer = self.interface.submit(entry.wish, depends_on, key)
            if isinstance(answer, Unknown):
                entry.unknowns += 1
                self.ledger.slowest_unknown = max(self.ledger.slowest_unknown, time.monotonic() - asked_at)
                time.sleep(RESEND_SECONDS * random.uniform(0.5, 1.5))
                continue
            if isinstance(answer, Acked):
                self.ledger.acked(entry, answer.job_id)
            elif isinstance(answer, Refused):
                entry.refused = answer.why
            return

    def start_before_deploy(self, nth: int, lengths: Sequence[float]) -> None:
        """Submit jobs of these lengths. Wait until each has started, at most 8 seconds."""
        entries = []
        for wish in deploy_wishes(nth, lengths):
            entries.append(self.ledger.open(wish))
            self._ask(entries[-1], (), wish.key)
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline and not all(self._has_started(entry) for entry in entries):
            time.sleep(0.05)

    def _has_started(self, entry: Entry) -> bool:
        return entry.job_id is not None and bool(Trace(entry.job_id, self.world.traces).lines())

    # --- cancelling ---------------------------------------------------------------------------

    def _cancel_all(self) -> None:
        while not self._done.is_set():
            try:
                due, entry = self._cancels.get(timeout=0.2)
            except queue.Empty:
                continue
            time.sleep(max(0.0, min(due - time.monotonic(), 1.0)))
            entry.cancel_asked = True
            assert entry.job_id is not None
            if self.interface.cancel(entry.job_id) == "cancelled":
                entry.cancelled_at = time.time()

    # --- polling ------------------------------------------------------------------------------

    def _poll_all(self) -> None:
        """Poll every unfinished job, and some of the ended ones, which must not change."""
        connection = self.world.connect()
        while not self._done.is_set():
            ended = [entry for entry in self.ledger.snapshot() if entry.ended_at is not None]
            try:
                poll_once(connection, self.ledger, self.ledger.unfinished() + random.sample(ended, min(20, len(ended))))
                self.world.learn_worker_pids(connection)
            except UNREACHABLE:
                connection.close()
            self._done.wait(POLL_SECONDS)


def poll_once(connection: redis.Redis, ledger: Ledger, entries: list[Entry]) -> None:
    """Poll these jobs once, as a client would, and record their status."""
    for start in range(0, len(entries), 200):
        pipeline = connection.pipeline(transaction=False)
        part = entries[start : start + 200]
        for entry in part:
            pipeline.hmget(f"rq:job:{entry.job_id}", "status", "version")
        for entry, (status, version) in zip(part, pipeline.execute(), strict=True):
            known = FROM_RQ.get((status or b"").decode())
            ledger.saw(entry, str(known) if known else None, int(version or 0))
