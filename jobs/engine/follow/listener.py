"""The one connection of a process on which the broker publishes changes to it.

A message on a channel is only a nudge to read what has changed. The broker's confirmation of a subscription counts as
a nudge too, so changes from before the subscription, or from an outage of the broker, are found in the same way.
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
#: Seconds of silence after which the broker is pinged, and after which it counts as lost.
PING_SECONDS = 2.0
SILENCE_SECONDS = 5.0
#: Seconds without any channel after which the thread ends. The next channel starts it again.
LINGER_SECONDS = 10.0
#: Nudges that are handed over together. With more channels than that, the listener first lets nudges gather for some
#: seconds: jobs that are read together cost half.
MAX_NUDGES = 50
GATHER_SECONDS = 0.01

#: Keeps the connection subscribed while there is no other channel.
_IDLE_CHANNEL = "wh:idle"

_AWAY = (*UNREACHABLE, redis.RedisError, BrokerUnavailable, OSError)


class Listener:
    """Calls `nudged` with the channels on which something happened. All calls are made in one thread.

    Twice a second it calls `beat` and, while the broker can be reached, `read_again`. `nudged` and `read_again` may
    raise BrokerUnavailable: all channels are nudged again once the broker is back.
    """

    def __init__(
        self,
        connection: redis.Redis,
        nudged: Callable[[set[str]], None],
        read_again: Callable[[], None],
        beat: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._nudged = nudged
        self._read_again = read_again
        self._beat = beat
        self._channels: set[str] = set()
        self._session: Any = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._needed_at = 0.0
        self._beaten_at = 0.0

    def join(self, channel: str) -> None:
        """Listen to a channel. It is nudged as soon as the broker has confirmed it, even if it was joined before."""
        with self._lock:
            self._channels.add(channel)
            self._needed_at = time.monotonic()
            self._send("subscribe", channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
                self._thread.start()

    def leave(self, channel: str) -> None:
        """Stop listening to a channel."""
        with self._lock:
            self._channels.discard(channel)
            self._send("unsubscribe", channel)

    def _send(self, command: str, channel: str) -> None:
        if self._session is None:
            return  # the next session subscribes to all channels
        try:
            getattr(self._session, command)(channel)
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
            except Exception:  # it serves all followers of the process, so it starts again after any error
                logger.exception("listener: failed; starting again")
            with self._lock:
                self._session = None
            self._beat()
            time.sleep(RECONNECT_SECONDS)

    def _listen(self, session: Any) -> None:
        with self._lock:
            session.subscribe(_IDLE_CHANNEL, *self._channels)
            self._session = session
        heard = asked = time.monotonic()
        while not self._may_end():
            if self._hear(session):
                heard = time.monotonic()
            now = time.monotonic()
            if now - heard > SILENCE_SECONDS:
                raise redis.exceptions.ConnectionError("The broker is silent.")
            if now - max(heard, asked) > PING_SECONDS:
                session.ping()
                asked = now
            if now - self._beaten_at > BEAT_SECONDS:
                self._beaten_at = now
                self._beat()
                self._read_again()

    def _hear(self, session: Any) -> bool:
        """Wait for nudges and hand them over. Return True if the broker sent anything."""
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

    def _may_end(self) -> bool:
        """Return True, and let the next channel start a new thread, if there was no channel for a while."""
        with self._lock:
            if self._channels:
                self._needed_at = time.monotonic()
            if time.monotonic() - self._needed_at < LINGER_SECONDS:
                return False
            self._thread = self._session = None
            return True
