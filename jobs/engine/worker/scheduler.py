"""The scheduler: due jobs, expired leases, expired records, and chores of other rooms.

Every step is one atomic script that is harmless to repeat. So any number of hosts may run schedulers without a lock,
and when one dies the others continue.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType

import redis

from jobs.engine.broker.connection import NOT_NOW, REFUSED
from jobs.engine.broker.store.claims import Holding
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.trouble import BrokerTrouble
from jobs.engine.errors import BrokerUnavailable

from .leased_rq import LeasedRQWorker
from .retry_decision import Death, after_death

logger = logging.getLogger("workhorse")

WATCH_SECONDS = 0.25
RECOVER_SECONDS = 1.0
SWEEP_SECONDS = 5.0
MAKE_ROOM_SECONDS = 0.25


@dataclass
class Chore:
    every_seconds: float
    do: Callable[[], object]
    #: The name of the work that it does (watch.lua): it is skipped while there is none. Empty: it is always done.
    work: str = ""
    due_at: float = 0.0


class Scheduler:
    def __init__(self, store: Store, more: Iterable[Chore] = (), dead_workers: int | None = None) -> None:
        """Schedule the chores of this room and `more`.

        Args:
            more: chores of other rooms.
            dead_workers: the read end of the supervisor's pipe, with the process id of each dead worker in a line.
        """
        self._store = store
        self._dead_workers = dead_workers
        self._dead: list[int] = []
        self._stop = False
        #: The names of the work that there is; None if the broker has rejected the question.
        self._work: set[str] | None = set()
        self._trouble = BrokerTrouble("scheduler")
        self._chores = [
            Chore(WATCH_SECONDS, self.promote, "promote"),
            Chore(WATCH_SECONDS, self.end_late, "end_late"),
            Chore(RECOVER_SECONDS, self.recover, "recover"),
            Chore(SWEEP_SECONDS, self.sweep),
            Chore(WATCH_SECONDS, self.make_room, "use_room"),
            Chore(MAKE_ROOM_SECONDS, self.make_room, "make_room"),
            *more,
        ]

    def run(self) -> None:
        """Do the chores until SIGTERM."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._request_stop)
        while not self._stop:
            self._attend(Chore(WATCH_SECONDS, self._watch))
            now = time.monotonic()
            for chore in self._chores:
                if now >= chore.due_at and self._has_work(chore):
                    chore.due_at = now + chore.every_seconds
                    self._attend(chore)
            self._wait()

    def _watch(self) -> None:
        """Look for work of all chores in one step: mostly, there is none."""
        self._work = set()
        try:
            self._work = self._store.watch()
        except redis.ResponseError:
            self._work = None
            raise

    def _has_work(self, chore: Chore) -> bool:
        return not chore.work or self._work is None or chore.work in self._work

    def _wait(self) -> None:
        """Return when it is time for the next chore, or a worker has died."""
        if self._dead_workers is None:
            time.sleep(WATCH_SECONDS)
        elif select.select([self._dead_workers], [], [], WATCH_SECONDS)[0]:
            self._dead += [int(pid) for pid in os.read(self._dead_workers, 4096).split() if pid.isdigit()]
        if self._dead:
            self._attend(Chore(0.0, self.free_jobs_of_dead_workers))

    def _request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _attend(self, chore: Chore) -> None:
        try:
            chore.do()
        except REFUSED as error:
            self._trouble.away(error)
        except (*NOT_NOW, BrokerUnavailable) as error:
            self._trouble.away(error)
            time.sleep(RECOVER_SECONDS)
        except redis.ResponseError as error:
            # A record that is not one of ours must not stop the other chores. This one is tried again at its time.
            self._trouble.failed(error, "a chore")

    def promote(self) -> None:
        """Move due jobs into their queues, all of them."""
        while self._store.promote()[0]:
            continue

    def end_late(self) -> None:
        """Cancel the jobs that have not started by their deadline, all of them."""
        while self._store.end_late():
            continue

    def free_jobs_of_dead_workers(self) -> None:
        """Put back the jobs of this host's dead workers."""
        for pid in list(self._dead):
            for holding in self._store.held_by(LeasedRQWorker.host_prefix(pid)):
                self._free(holding, "its worker ended")
            self._dead.remove(pid)

    def recover(self) -> None:
        """Put back the jobs whose worker has sent no heartbeat for the length of a lease."""
        for holding in self._store.suspects():
            self._free(holding, "its worker stopped responding")

    def _free(self, holding: Holding, why: str) -> None:
        job_id = holding.job_id
        try:
            ended = self._store.finish(job_id, holding.execution, "", after_death(holding.deaths, Death(why)))
        except NOT_NOW:
            raise
        except redis.ResponseError:  # the next one must be freed all the same
            logger.exception("scheduler: job %s can't be freed, %s; see `flask --app webapp jobs doctor`", job_id, why)
        else:
            logger.warning("scheduler: job %s: %s: %s", job_id, why, ended or "lost")

    def make_room(self) -> None:
        """Call back jobs that wait for a limit which has room, if nothing else has."""
        self._store.make_room()

    def sweep(self) -> None:
        """Remove expired jobs from the indexes, and unused queues."""
        while self._store.sweep():
            continue
