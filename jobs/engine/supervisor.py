"""The parent of a host's workers: starts them, starts them again, and frees what a dead one held.

It speaks to the broker only to free a dead worker's claim. A worker that ended by itself is proof enough: its horse
dies with it, and what outlives both has become this process's child and is ended before the claim is freed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from .catalogue import Catalogue
from .connection import connect
from .execution import NOT_NOW, died
from .horse import adopt_orphans, die_with_parent
from .rq_worker import Engine, Worker
from .scheduler import Scheduler
from .settings import Settings
from .store import Store

logger = logging.getLogger("workhorse")

TICK_SECONDS = 0.1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: A process that ends sooner than this is started again more slowly each time.
STEADY_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 10.0


@dataclass
class Child:
    """A process that is to run for as long as the supervisor does."""

    name: str
    main: Callable[[], None]
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    quick_ends: int = 0


@dataclass
class Supervisor:
    settings: Settings
    catalogue: Catalogue
    children: list[Child] = field(default_factory=list)
    _stopping_since: float | None = None
    _to_free: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Answers the exit code."""
        adopt_orphans()
        for each in STOP_SIGNALS:
            signal.signal(each, self._request_stop)
        self.children = [Child(f"worker {number + 1}", self._work) for number in range(self.settings.workers)]
        self.children.append(Child("scheduler", self._schedule))
        self._store = Store(connect(self.settings))
        while True:
            self._reap()
            self._free_claims()
            if self._stopping_since is None:
                self._start_missing()
            elif self._stopped(time.monotonic() - self._stopping_since):
                return 0
            time.sleep(TICK_SECONDS)

    def _request_stop(self, _signum: int, _frame: FrameType | None) -> None:
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
            if not child.pid and now >= child.start_at:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        # A stop that comes during the fork waits until the child has forgotten our handler, and we have its id.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._become(child, parent)
        child.pid, child.started_at = pid, now
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _become(self, child: Child, parent: int) -> None:
        code = 1
        try:
            for each in STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            die_with_parent(parent)
            child.main()
            code = 0
        except BaseException:
            logger.exception("%s ended", child.name)
        finally:
            os._exit(code)

    def _work(self) -> None:
        engine = Engine(self.settings, self.catalogue, Store(connect(self.settings)))
        Worker(engine=engine).work()

    def _schedule(self) -> None:
        Scheduler(Store(connect(self.settings))).run()

    # --- the dead --------------------------------------------------------------------

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
                    self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        now = time.monotonic()
        pid, child.pid = child.pid, 0
        if child.name != "scheduler":
            self._to_free.append(pid)
        if self._stopping_since is not None:
            return
        child.quick_ends = child.quick_ends + 1 if now - child.started_at < STEADY_SECONDS else 0
        child.start_at = now + min(MAX_BACKOFF_SECONDS, 0.1 * 2**child.quick_ends - 0.1)
        logger.warning("%s (pid %d) ended with status %s; starting it again", child.name, pid, status)

    def _free_claims(self) -> None:
        """Put back the jobs of workers that this process has seen dead."""
        for pid in list(self._to_free):
            self._end_orphans()
            try:
                for job_id, execution in self._store.held_by(Worker.host_prefix(pid)):
                    ended = self._store.finish(job_id, execution, "", died("its worker ended"))
                    logger.warning("job %s lost its worker (pid %d): %s", job_id, pid, ended)
            except NOT_NOW as error:
                logger.warning("can't free the claims of pid %d yet: %s", pid, error)
                return
            self._to_free.remove(pid)

    def _end_orphans(self) -> None:
        """End what dead workers left behind: being their subreaper, it is all ours now."""
        known = {child.pid for child in self.children}
        for pid in _children_of_this_process() - known:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue


def _children_of_this_process() -> set[int]:
    """Linux tells; elsewhere a horse ends by itself when its channel closes."""
    pids: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        pids.update(int(pid) for pid in listing.read_text().split())
    return pids
