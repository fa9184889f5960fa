"""Writing things down behind a request: it hands them over and goes on; a thread writes what has come together."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

logger = logging.getLogger("workhorse")

#: Seconds in which items come together; what a killed process loses at most.
GATHER_SECONDS = 0.25
#: While nothing can be written, so many wait; then the oldest go.
MAX_WAITING = 10_000


class BackgroundWriter(Generic[Item]):
    """`write` is called with a list, by one thread at a time. If it raises, the items are kept and tried again."""

    def __init__(self, name: str, write: Callable[[list[Item]], None]) -> None:
        self._name = name
        self._write = write
        self._waiting: deque[Item] = deque(maxlen=MAX_WAITING)
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failing = False

    def add(self, item: Item) -> None:
        self._waiting.append(item)
        with self._starting:
            if self._thread is None:
                # For as long as there is something to write: a process that is idle has no thread.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def flush(self) -> None:
        """Write what is waiting, now. What can't be written stays."""
        with self._writing:
            items = list(self._waiting)
            if not items:
                return
            try:
                self._write(items)
            except Exception as error:  # noqa: BLE001 (nobody waits for this who could be told)
                # An outage is told of once, not at every try.
                if not self._failing:
                    logger.warning("%s: what happens is kept until it can be written: %r", self._name, error)
                self._failing = True
                return
            if self._failing:
                logger.warning("%s: %d entries that had to wait are written", self._name, len(items))
            self._failing = False
            for _ in items:
                self._waiting.popleft()

    def _run(self) -> None:
        while True:
            time.sleep(GATHER_SECONDS)
            self.flush()
            with self._starting:
                if not self._waiting:
                    self._thread = None
                    atexit.unregister(self.flush)
                    return
