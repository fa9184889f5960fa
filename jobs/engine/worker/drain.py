"""Watch for a request to drain: to take no more jobs, and to end when idle."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.store import Store
from jobs.engine.processes import resident_bytes

from .execution import Stop
from .leased_rq import WORKER_TTL

logger = logging.getLogger("workhorse")

#: Seconds between two looks while a job runs. Less than a second: a request is noticed within one.
LOOK_SECONDS = 0.8


class DrainWatch:
    """Looks at the worker's own record, and writes a heartbeat and its memory there in the same step.

    What was asked is remembered: it outlives the record, which expires during a long outage of the broker.
    """

    def __init__(self, worker: str, store: Store, stop: Stop, note_drain: Callable[[bool], None]) -> None:
        self._worker = worker
        self._store = store
        self._stop = stop
        self._note_drain = note_drain
        self._looked_at = 0.0
        #: The record has expired, or the broker has lost it.
        self.record_is_missing = False

    def is_draining(self) -> bool:
        """Return True if the worker must take no more jobs. Raises redis-py's errors."""
        self._read(WORKER_TTL)
        return self._stop.draining

    def look(self, horse: int) -> None:
        """Do the same while a job runs in the process `horse`. An outage is left to the next look."""
        if time.monotonic() < self._looked_at + LOOK_SECONDS:
            return
        try:
            self._read(WORKER_TTL + 60, horse)
        except NOT_NOW as error:
            logger.debug("%s: its record can't be read: %s", self._worker, error)

    def _read(self, worker_ttl: int, *horse: int) -> None:
        self._looked_at = time.monotonic()
        draining = self._store.note_worker(self._worker, resident_bytes(os.getpid(), *horse), worker_ttl)
        self.record_is_missing = draining is None
        if draining is not None and draining != self._stop.draining:
            logger.info("%s: %s", self._worker, "draining" if draining else "takes jobs again")
            self._stop.draining = draining
            self._note_drain(draining)
