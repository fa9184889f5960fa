"""The one connection of a process on which the broker tells it of changes.

What comes is only a nudge: whoever is interested reads what has changed. A nudge also comes whenever a channel was
subscribed to, so what happened before that, or while the broker was away, is found out in the same way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import redis

from jobs.engine.broker.connection import UNREACHABLE
from jobs.engine.errors import BrokerUnavailable

logger = logging.getLogger("workhorse")

#: Seconds between two beats.
BEAT_SECONDS = 0.5
RECONNECT_SECONDS = 0.5
#: Seconds of silence after which the broker is asked whether it is there, and after which it is not.
PING_SECONDS = 2.0
SILENCE_SECONDS = 5.0
#: Seconds without any channel after which the thread ends; it comes back with the next one.
LINGER_SECONDS = 10.0
#: Nudges that are taken together, and with more channels than that, the seconds to let them gather: what is read
#: together costs half.
MAX_NUDGES = 50
GATHER_SECONDS = 0.01

#: Keeps the connection in its subscribed state while there is nothing to listen to.
_IDLE_CHANNEL = "wh:idle"

_AWAY = (*UNREACHABLE, redis.RedisError, BrokerUnavailable, OSError)


class Listener:
    """Calls `nudged` with channels on which something happened; all that it calls, it calls in one thread.

    Twice a second it calls `beat` and, if the broker is there, `look_again`. `nudged` and `look_again` may raise
    BrokerUnavailable: all channels are nudged again once the broker is back.
    """

    def __init__(
        self,
        connection: redis.Redis,
        nudged: Callable[[set[str]], None],
        look_again: Callable[[], None],
        beat: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._nudged = nudged
        self._look_again = look_again
        self._beat = beat
        self._channels: set[str] = set()
        self._session: Any = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._needed_at = 0.0
        self._beaten_at = 0.0

    def join(self, channel: str) -> None:
        """Listen to a channel. It is nudged as soon as the broker has confirmed it, also if it was listened to."""
        with self._lock:
            self._channels.add(channel)
            self._needed_at = time.monotonic()
            self._tell("subscribe", channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
                self._thread.start()

    def leave(self, channel: str) -> None:
        with self._lock:
            self._channels.discard(channel)
            self._tell("unsubscribe", channel)

    def _tell(self, step: str, channel: str) -> None:
        if self._session is None:
            return  # the next session begins with all channels
        try:
            getattr(self._session, step)(channel)
        except _AWAY as error:
            logger.debug("listener: the broker is away: %s", error)

    def _run(self) -> None:
        while True:
            try:
                with closing(self._connection.pubsub()) as session:
                    self._listen(session)
                    return
            except _AWAY as error:
                logger.debug("listener: the broker is away: %s", error)
            except Exception:  # it serves everybody: whatever happens, it begins anew
                logger.exception("listener: it fell, and begins anew")
            with self._lock:
                self._session = None
            self._beat()
            time.sleep(RECONNECT_SECONDS)

    def _listen(self, session: Any) -> None:
        with self._lock:
            session.subscribe(_IDLE_CHANNEL, *self._channels)
            self._session = session
        heard = asked = time.monotonic()
        while not self._dismissed():
            if self._hear(session):
                heard = time.monotonic()
            now = time.monotonic()
            if now - heard > SILENCE_SECONDS:
                raise redis.exceptions.ConnectionError("The broker says nothing.")
            if now - max(heard, asked) > PING_SECONDS:
                session.ping()
                asked = now
            if now - self._beaten_at > BEAT_SECONDS:
                self._beaten_at = now
                self._beat()
                self._look_again()

    def _hear(self, session: Any) -> bool:
        """Wait for nudges, hand them over, and tell whether the broker said anything."""
        message = first = session.get_message(timeout=BEAT_SECONDS)
        nudged: set[str] = set()
        if message is not None and len(self._channels) > MAX_NUDGES:
            time.sleep(GATHER_SECONDS)
        while message is not None:
            if message["type"] in ("subscribe", "message"):
                nudged.add(message["channel"].decode())
            message = session.get_message(timeout=0) if len(nudged) < MAX_NUDGES else None
        if nudged:
            self._nudged(nudged)
        return first is not None

    def _dismissed(self) -> bool:
        with self._lock:
            if self._channels:
                self._needed_at = time.monotonic()
            if time.monotonic() - self._needed_at < LINGER_SECONDS:
                return False
            self._thread = self._session = None
            return True
