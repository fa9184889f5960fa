"""Limit the open streams of this process: each uses memory and one of gunicorn's connections."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from flask import Flask, current_app

from jobs.engine.errors import TooManyStreams

EXTENSION = "workhorse_stream_slots"
RETRY_SECONDS = 5


class StreamSlots:
    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0
        self._lock = Lock()

    def take(self) -> Callable[[], None]:
        """Take a slot, and return a function that gives it back. Further calls of it have no effect.

        Raises:
            TooManyStreams: no slot is free.
        """
        with self._lock:
            if self._taken >= self._count:
                raise TooManyStreams(retry_after=RETRY_SECONDS)
            self._taken += 1
        held = [True]

        def give_back() -> None:
            with self._lock:
                if held:
                    held.clear()
                    self._taken -= 1

        return give_back


def install(app: Flask, count: int) -> None:
    app.extensions[EXTENSION] = StreamSlots(count)


def take_slot() -> Callable[[], None]:
    """Take a slot of the current app. Raises TooManyStreams if no slot is free."""
    slots: StreamSlots = current_app.extensions[EXTENSION]
    return slots.take()
