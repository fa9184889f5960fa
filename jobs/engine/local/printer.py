"""Print what the processes of an instance print, without ever blocking or failing a stop."""

from __future__ import annotations

import io
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from honcho.printer import Printer

#: Time at the end to print what is still waiting.
DRAIN_SECONDS = 2.0
#: Messages that wait to be printed, each of up to 64 KiB: 16 MiB at most. Further ones are dropped.
MAX_WAITING = 256


class NonblockingPrinter(Printer):  # type: ignore[misc] # honcho has no types
    """honcho's printer in a thread of its own; what can't be printed is dropped.

    In `make run | tee log`, Ctrl-C ends tee first; in `make run | less`, less stops reading. And honcho prints in its
    signal handler, perhaps in the middle of another print, which a buffered file of Python's refuses with an
    exception: so the file is unbuffered.
    """

    def __init__(self) -> None:
        output = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
        super().__init__(io.TextIOWrapper(output, errors="replace", write_through=True))
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def start(self) -> None:
        """Print in the thread from now on."""
        self._thread.start()

    def __enter__(self) -> NonblockingPrinter:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait a moment for what has yet to be printed."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(DRAIN_SECONDS)

    def write(self, message: Any) -> None:
        self._add(partial(super().write, message))

    def say(self, text: str) -> None:
        """Print whole lines of our own, without honcho's prefix."""
        self._add(partial(print, text, file=self.output))

    def _add(self, write: Callable[[], None]) -> None:
        if not self._thread.is_alive():
            _attempt(write)
        elif self._waiting.qsize() < MAX_WAITING:
            # A queue with a bound of its own has a lock, which a signal handler must not wait for.
            self._waiting.put(write)

    def _print(self) -> None:
        while write := self._waiting.get():
            _attempt(write)


def _attempt(write: Callable[[], None]) -> None:
    with suppress(OSError):
        write()
