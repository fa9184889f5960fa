"""The bounded queue between the listener and one follower."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from .message import Message

#: A follower that has this many messages before it, or takes none for so many seconds while there are some, is cut.
MAX_QUEUED = 1_000
SLOW_SECONDS = 20.0


class Inbox:
    """What one follower has yet to take. The listener puts and never waits; the follower takes.

    A follower that can't keep up loses superseded progress first. If that is not enough it is cut: it comes back
    with the last id that it saw.
    """

    def __init__(self, *, on_cut: Callable[[], None] | None = None) -> None:
        self._queue: deque[Message] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._waiting_since = 0.0
        self._asked_at = 0.0
        self._on_cut = on_cut
        self.ended = False
        #: The version or position that the follower has, or will have once it took all; None: nothing yet.
        self.after: int | None = None
        #: Whether it is told every change, not just the latest state.
        self.every = True
        #: The number of log lines that it has; None: it does not follow the log.
        self.logged: int | None = None
        #: Seconds after which it is reminded that nothing has happened; None: it has a clock of its own.
        self.idle_seconds: float | None = None

    def put(self, message: Message) -> None:
        with self._lock:
            if self.ended:
                return
            if message.progress and self._queue and self._supersedes(message, self._queue[-1]):
                self._queue[-1] = message
                return
            if not self._queue:
                self._waiting_since = time.monotonic()
            self._queue.append(message)
            overflown = len(self._queue) > MAX_QUEUED
        self._wake.set()
        if overflown:
            self.cut()

    def take(self, timeout: float | None) -> Message | None:
        """The next message, or None: if none comes within `timeout` seconds, at a reminder, or if all has ended."""
        self._asked_at = time.monotonic()
        if not self._queue and not self.ended:
            self._wake.wait(timeout)
        with self._lock:
            self._wake.clear()
            if not self._queue:
                return None
            self._waiting_since = time.monotonic()
            return self._queue.popleft()

    def remind_if_idle(self) -> None:
        """Wake a follower that was told nothing for long. Its own timer would cost more than all else it does."""
        if self.idle_seconds is not None and time.monotonic() - self._asked_at > self.idle_seconds:
            self._wake.set()

    def end(self) -> None:
        """Let the follower go. What it has not taken is dropped."""
        with self._lock:
            self.ended = True
            self._queue.clear()
        self._wake.set()

    def cut(self) -> None:
        """End it, although it may be in the middle of sending something."""
        self.end()
        if self._on_cut is not None:
            self._on_cut()

    @property
    def slow(self) -> bool:
        with self._lock:
            return bool(self._queue) and time.monotonic() - self._waiting_since > SLOW_SECONDS

    @staticmethod
    def _supersedes(message: Message, queued: Message) -> bool:
        return queued.progress and queued.job_id == message.job_id
