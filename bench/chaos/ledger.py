"""The ledger of the clients: the responses to each submission, and their times."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from .workload import Wish

TERMINAL = ("completed", "failed", "cancelled")


@dataclass
class Entry:
    """A wish, and the state of its job as the client knows it."""

    wish: Wish
    #: The job ids in the responses to its submissions. There must be exactly one.
    job_ids: set[str] = field(default_factory=set)
    refused: str | None = None
    unknowns: int = 0
    acked_at: float = 0.0
    #: The time at which the response to a cancellation said that the job is cancelled.
    cancelled_at: float | None = None
    cancel_asked: bool = False
    status: str | None = None
    version: int = 0
    ended_at: float | None = None

    @property
    def job_id(self) -> str | None:
        return min(self.job_ids) if self.job_ids else None


class Ledger:
    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.regressions: list[str] = []
        #: The longest time, in seconds, until a submission was answered by an error that leaves its outcome unknown.
        self.slowest_unknown = 0.0
        self._lock = threading.Lock()

    def open(self, wish: Wish) -> Entry:
        with self._lock:
            return self.entries.setdefault(wish.number, Entry(wish))

    def acked(self, entry: Entry, job_id: str) -> None:
        with self._lock:
            entry.job_ids.add(job_id)
            entry.acked_at = entry.acked_at or time.time()

    def snapshot(self) -> list[Entry]:
        with self._lock:
            return list(self.entries.values())

    def unfinished(self) -> list[Entry]:
        return [entry for entry in self.snapshot() if entry.job_ids and entry.ended_at is None]

    def saw(self, entry: Entry, status: str | None, version: int) -> None:
        """Compare the response to a poll with the earlier ones."""
        if entry.ended_at is not None and status != entry.status:
            self.regressions.append(f"job {entry.job_id} was {entry.status} and is {status}")
        if version < entry.version:
            self.regressions.append(f"job {entry.job_id} went back from version {entry.version} to {version}")
        entry.status, entry.version = status, version
        if status in TERMINAL and entry.ended_at is None:
            entry.ended_at = time.time()
