"""The inbox of one follower: a bounded queue that the listener fills."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from .message import Message

#: A follower is cut off if more messages wait in its inbox, or if it takes none of them for so many seconds.
MAX_QUEUED = 1_000
SLOW_SECONDS = 20.0


class Inbox:
    """The messages that one follower has yet to take. The listener puts and never blocks; the follower takes.

    A follower that can't keep up first loses superseded progress. If that is not enough it is cut off, and can come
    back with the last id that it received.
    """

    def __init__(self, *, on_cut: Callable[[], None] | None = None) -> None:
        self._queue: deque[Message] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._waiting_since = 0.0
        self._taken_at = 0.0
        self._on_cut = on_cut
        self.ended = False
        #: The version or position of the last message that was put; None: none yet.
        self.after: int | None = None
        #: True: every version is put. False: only the latest state.
        self.every = True
        #: The number of log lines that were put; None: the follower does not want the log.
        self.logged: int | None = None
        #: Seconds of silence after which `take` returns None; None: the follower has a timeout of its own.
        self.idle_seconds: float | None = None

    def put(self, message: Message) -> None:
        """Add a message, unless the inbox has ended. Progress replaces the progress of the same job before it."""
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
        """Return the next message, or None after `timeout` seconds, after a reminder, or if the inbox has ended."""
        self._taken_at = time.monotonic()
        if not self._queue and not self.ended:
            self._wake.wait(timeout)
        with self._lock:
            self._wake.clear()
            if not self._queue:
                return None
            self._waiting_since = time.monotonic()
            return self._queue.popleft()

    def remind_if_idle(self) -> None:
        """Wake a follower after a long silence. A timer for each follower would cost more than the messages."""
        if self.idle_seconds is not None and time.monotonic() - self._taken_at > self.idle_seconds:
            self._wake.set()

    def end(self) -> None:
        """Release the follower. Messages that it has not taken are dropped."""
        with self._lock:
            self.ended = True
            self._queue.clear()
        self._wake.set()

    def cut(self) -> None:
        """End the inbox and break the follower's connection, even in the middle of a send."""
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
