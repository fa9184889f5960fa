"""What has to happen at its time: due jobs, leases that ran out, records that expired.

Every step is one atomic script and harmless to repeat, so any number of hosts may run this at once without a lock,
and whoever is left goes on at once when one of them dies.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from .execution import NOT_NOW, died
from .rq_worker import QUEUES
from .store import Store

logger = logging.getLogger("workhorse")

PROMOTE_SECONDS = 0.25
RECOVER_SECONDS = 1.0
SWEEP_SECONDS = 5.0


@dataclass
class Chore:
    every_seconds: float
    do: Callable[[], None]
    due_at: float = 0.0


class Scheduler:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = False
        self._chores = [
            Chore(PROMOTE_SECONDS, self.promote),
            Chore(RECOVER_SECONDS, self.recover),
            Chore(SWEEP_SECONDS, self.sweep),
        ]

    def run(self) -> None:
        """Do the chores until SIGTERM."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._request_stop)
        while not self._stop:
            now = time.monotonic()
            for chore in self._chores:
                if now >= chore.due_at:
                    chore.due_at = now + chore.every_seconds
                    self._attend(chore)
            time.sleep(PROMOTE_SECONDS)

    def _request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _attend(self, chore: Chore) -> None:
        try:
            chore.do()
        except NOT_NOW as error:
            logger.warning("scheduler: the broker is away, trying again: %s", error)
            time.sleep(RECOVER_SECONDS)

    def promote(self) -> None:
        """Move due jobs into their queues, all of them."""
        while self._store.promote(QUEUES)[0]:
            continue

    def recover(self) -> None:
        """Put back the jobs of workers that have not been heard of."""
        for job_id, execution in self._store.suspects():
            ended = self._store.finish(job_id, execution, "", died("its worker was not heard of any more"))
            logger.warning("scheduler: job %s lost its worker: %s", job_id, ended)

    def sweep(self) -> None:
        """Take expired jobs out of the indexes."""
        while self._store.sweep(QUEUES):
            continue
