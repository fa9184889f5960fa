"""The supervisor: the parent of a host's workers, which starts and restarts them.

It has no connection to the broker, so no outage disturbs it, and it stays small: every horse is a copy of it. When a
worker has ended, it notifies the scheduler, which frees the worker's claim at once. The worker's horse died with it; a
process that outlived both has become a child of the supervisor, and is killed first.

A worker that was draining is not restarted, however it ended. Once all have drained, the supervisor ends too.
"""

from __future__ import annotations

import gc
import logging
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.processes import adopt_orphans, die_with_parent, end_children_except
from jobs.engine.settings import Settings

from .attempt import perform
from .zygotes import Zygotes

logger = logging.getLogger("workhorse")

#: Seconds until the next look while a child has yet to start or to end, and while all are running.
TICK_SECONDS = 0.1
LONG_TICK_SECONDS = 5.0
SCHEDULER = "scheduler"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: The supervisor has no handlers: it waits for these signals.
SIGNALS = (*STOP_SIGNALS, signal.SIGCHLD)
#: A process that ends sooner than this is restarted after a pause that doubles each time.
STEADY_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 10.0


@dataclass
class Child:
    """A process that must run for as long as the supervisor does."""

    name: str
    main: Callable[[], None]
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    quick_ends: int = 0
    #: One byte that the process shares with the supervisor: 1 while it takes no more jobs. Survives its death.
    draining: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))

    @property
    def drained(self) -> bool:
        return not self.pid and self.draining[0] == 1

    def note_drain(self, draining: bool) -> None:
        self.draining[0] = int(draining)


@dataclass
class Supervisor:
    settings: Settings
    catalogue: Catalogue
    children: list[Child] = field(default_factory=list)
    _stopping_since: float | None = None
    #: A pipe to the scheduler, for the process ids of dead workers. It keeps what is written while none is running.
    _dead_workers: tuple[int, int] = field(default_factory=os.pipe)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Return the exit code."""
        adopt_orphans()
        # What exists now stays shared with the children: no garbage collection of theirs writes to it.
        gc.collect()
        gc.freeze()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        workers = [self._worker(number) for number in range(self.settings.workers)]
        self.children = [*workers, Child(SCHEDULER, self._schedule)]
        while True:
            self._reap()
            if self._stopping_since is None and all(worker.drained for worker in workers):
                logger.info("all workers have drained; stopping")
                self._begin_to_stop()
            if self._stopping_since is None:
                self._start_missing()
            elif self._stopped(time.monotonic() - self._stopping_since):
                return 0
            self._wait()

    def _worker(self, number: int) -> Child:
        child = Child(f"worker {number + 1}", lambda: self._work(child))
        return child

    def _wait(self) -> None:
        """Return when a child has ended, a stop is requested, or it is time to look again."""
        steady = self._stopping_since is None and all(child.pid or child.drained for child in self.children)
        received = signal.sigtimedwait(SIGNALS, LONG_TICK_SECONDS if steady else TICK_SECONDS)
        if received and received.si_signo in STOP_SIGNALS:
            self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            self._signal(signal.SIGTERM)

    def _signal(self, signum: signal.Signals) -> None:
        for child in self.children:
            if child.pid:
                try:
                    os.kill(child.pid, signum)
                except ProcessLookupError:
                    continue

    def _stopped(self, seconds: float) -> bool:
        if seconds >= self.settings.shutdown_grace - 2 * TICK_SECONDS:
            self._signal(signal.SIGKILL)
        return not any(child.pid for child in self.children)

    # --- starting ------------------------------------------------------------------

    def _start_missing(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if not child.pid and not child.drained and now >= child.start_at:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(child, parent)
        child.pid, child.started_at = pid, now

    def _become(self, child: Child, parent: int) -> None:
        code = 1
        try:
            for each in STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            die_with_parent(parent)
            if child.name != SCHEDULER:
                # A job must not be able to write to the pipe.
                for end in self._dead_workers:
                    os.close(end)
            child.main()
            code = 0
        except BaseException:
            logger.exception("%s ended", child.name)
        finally:
            os._exit(code)

    def _work(self, child: Child) -> None:
        main = partial(perform, catalogue=self.catalogue, settings=self.settings)
        zygotes = Zygotes.start(main, self.catalogue.values())
        # After the fork: every horse is a copy of the zygote, and no horse needs rq or the broker's client.
        from jobs.engine.broker.connection import connect, wait_for_broker
        from jobs.engine.broker.fast_redis import FastRedis
        from jobs.engine.broker.store.store import Store

        from .leased_rq import Engine
        from .rq_worker import Worker

        connection = connect(self.settings)
        wait_for_broker(connection)
        # rq has a connection of its own: it forks for jobs of plain RQ, and a fast client must not be shared.
        store = Store(connect(self.settings, kind=FastRedis), self.settings.max_running_jobs_per_user)
        engine = Engine(self.settings, self.catalogue, store, zygotes, child.note_drain)
        Worker(engine=engine, connection=connection).work()

    def _schedule(self) -> None:
        from .chores import run_scheduler

        run_scheduler(self.settings, self.catalogue, self._dead_workers[0])

    # --- ends --------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in self.children:
                if child.pid == pid:
                    self._handle_end(child, status)

    def _handle_end(self, child: Child, status: int) -> None:
        now = time.monotonic()
        pid, child.pid = child.pid, 0
        # The processes that a dead worker left behind are our children now. Only once they are dead may its job run.
        end_children_except({each.pid for each in self.children})
        if child.name != SCHEDULER:
            os.write(self._dead_workers[1], b"%d\n" % pid)
        if self._stopping_since is not None:
            return
        if child.drained:
            logger.info("%s (pid %d) has drained", child.name, pid)
            return
        child.quick_ends = child.quick_ends + 1 if now - child.started_at < STEADY_SECONDS else 0
        child.start_at = now + min(MAX_BACKOFF_SECONDS, 0.1 * 2**child.quick_ends - 0.1)
        logger.warning("%s (pid %d) ended with status %s; restarting it", child.name, pid, status)
