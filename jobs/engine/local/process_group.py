"""The processes of an instance, which end together."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import honcho.manager
from honcho.process import Popen, Process

from jobs.engine.processes import die_with_parent

from .gathered_lines import GatheredLines
from .printer import NonblockingPrinter

#: Seconds between the end of the grace time and SIGKILL.
KILL_PAUSE_SECONDS = 5.0
RETRY_SECONDS = 0.1
#: Seconds between two looks of honcho's loop while nothing happens.
LOOP_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ProcessGroup(honcho.manager.Manager):  # type: ignore[misc] # honcho has no types
    """honcho's manager, which stops all processes when one ends, with our own limit on the time of a stop.

    Overrides private hooks of honcho 2.0.0 (manager.py, process.py), which is pinned.
    """

    events: Any

    def __init__(
        self, printer: NonblockingPrinter, shutdown_grace: float, when_started: Callable[[ProcessGroup], None]
    ) -> None:
        super().__init__(printer)
        honcho.manager.KILL_WAIT = max(30.0, shutdown_grace + KILL_PAUSE_SECONDS)
        self._process_ctor = TetheredProcess
        self.events = Events(self.events, self)
        self._when_started = threading.Thread(target=when_started, args=(self,), daemon=True)

    def _start(self) -> None:
        # Ctrl-C reaches the new processes too. Until `run` has begun, they would handle it as this process does.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        super()._start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        # Not before the forks: a thread may hold a lock that the child then waits for.
        self._printer.start()
        self._when_started.start()

    def terminate(self) -> None:
        if self._all_started():
            super().terminate()
        else:  # honcho does not know the pids before its loop has read them
            threading.Timer(RETRY_SECONDS, self.terminate).start()

    @property
    def stopping(self) -> bool:
        return bool(self._terminating)


class Events:
    """honcho's queue of events, which wakes its loop (manager.py) ten times a second only during a stop."""

    def __init__(self, queue: Any, processes: ProcessGroup) -> None:
        self.put = queue.put
        self._queue = queue
        self._processes = processes

    def get(self, timeout: float) -> Any:
        return self._queue.get(timeout=timeout if self._processes.stopping else LOOP_SECONDS)


class TetheredProcess(Process):  # type: ignore[misc] # honcho has no types
    """A process that ends with this one, even if this one is killed."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        die_with_parent(os.getppid())
        # Not SIG_IGN: the program would inherit that, and never hear of a stop.
        for each in STOP_SIGNALS:
            signal.signal(each, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self._child_ctor = partial(GatheringPopen, preexec_fn=partial(die_with_parent, os.getpid()))
        super().run(events, ignore_signals)


class GatheringPopen(Popen):  # type: ignore[misc] # honcho has no types
    """A program whose lines are read many at a time."""

    def __init__(self, cmd: str, **kwargs: Any) -> None:
        super().__init__(cmd, **kwargs)
        self.stdout: Any = GatheredLines(self.stdout)
