"""Write small things in the background: a request hands them over at once, and a thread writes them together."""

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

#: Items are written together after this many seconds. A process that is killed loses at most these.
GATHER_SECONDS = 0.25
#: While nothing can be written, at most this many items are kept: the newest.
MAX_WAITING = 10_000


class BackgroundWriter(Generic[Item]):
    """Calls `write` with a list of items, in one thread at a time. If it raises, the items are kept and tried again."""

    def __init__(self, name: str, write: Callable[[list[Item]], None]) -> None:
        self._name = name
        self._write = write
        self._waiting: deque[Item] = deque(maxlen=MAX_WAITING)
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failing = False

    def add(self, item: Item) -> None:
        """Have an item written soon. It never waits and never fails."""
        self._waiting.append(item)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Write all waiting items now. If they can't be written, they are kept."""
        with self._writing:
            items = list(self._waiting)
            if not items:
                return
            try:
                self._write(items)
            except Exception as error:  # noqa: BLE001 (no caller waits for the result)
                # An outage is logged once, not at every attempt.
                if not self._failing:
                    logger.warning("%s: entries can't be written, and are kept until they can: %r", self._name, error)
                self._failing = True
                return
            if self._failing:
                logger.warning("%s: the entries that were kept (%d) are written now", self._name, len(items))
            self._failing = False
            for _ in items:
                self._waiting.popleft()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # It runs only while there is something to write: an idle process has no thread.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            time.sleep(GATHER_SECONDS)
            self.flush()
            with self._starting:
                # In this order: an item that is added now is seen here, or its caller sees that no thread is left.
                thread, self._thread = self._thread, None
                if not self._waiting:
                    atexit.unregister(self.flush)
                    return
                self._thread = thread
