"""Following jobs: one listener a process, however many callers wait.

A change of a job is published in the same atomic step that makes it. What is published is only a nudge: whoever waits
reads the job again, so a nudge that was lost costs a second, never a change.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .client import Client
from .connection import UNREACHABLE
from .resource import Job

logger = logging.getLogger("workhorse")

#: Seconds after which a waiting caller looks even if nobody called it.
LOOK_SECONDS = 1.0
RECONNECT_SECONDS = 0.5


class Follower:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._pubsub = client.store.connection.pubsub(ignore_subscribe_messages=True)
        self._waiting: dict[str, set[threading.Event]] = {}
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def wait(self, job_id: str, *, after: int | None, timeout: float) -> Job:
        """Read a job once it has changed.

        Args:
            after: the version that is known; answers as soon as there is a later one. None: as soon as the job ends.
            timeout: seconds, after which the job is answered as it is.

        Raises:
            JobNotFound, BrokerUnavailable
        """
        arrived: Callable[[Job], bool] = lambda job: job.status.terminal if after is None else job.version > after
        deadline = time.monotonic() + timeout
        job = self._client.find(job_id)
        if arrived(job) or timeout <= 0:
            return job
        nudge = threading.Event()
        self._join(job_id, nudge)
        try:
            while not arrived(job) and (left := deadline - time.monotonic()) > 0:
                # Looks before it sleeps: the change may have come before we listened.
                job = self._client.find(job_id)
                if arrived(job):
                    break
                nudge.wait(min(left, LOOK_SECONDS))
                nudge.clear()
            return job if arrived(job) else self._client.find(job_id)
        finally:
            self._leave(job_id, nudge)

    def _join(self, job_id: str, nudge: threading.Event) -> None:
        with self._lock:
            waiting = self._waiting.setdefault(job_id, set())
            waiting.add(nudge)
            if len(waiting) == 1:
                self._tell_broker(self._pubsub.subscribe, job_id)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="follower", daemon=True)
                self._listener.start()

    def _leave(self, job_id: str, nudge: threading.Event) -> None:
        with self._lock:
            waiting = self._waiting[job_id]
            waiting.discard(nudge)
            if not waiting:
                del self._waiting[job_id]
                self._tell_broker(self._pubsub.unsubscribe, job_id)

    def _tell_broker(self, step: Callable[[str], object], job_id: str) -> None:
        try:
            step(f"wh:job:{job_id}")
        except UNREACHABLE as error:
            # The listener subscribes to everything anew once it is back.
            logger.debug("follower: the broker is away: %s", error)

    def _listen(self) -> None:
        while True:
            try:
                message = self._pubsub.get_message(timeout=LOOK_SECONDS) if self._pubsub.subscribed else None
                if message is None and not self._pubsub.subscribed:
                    time.sleep(0.01)
            except UNREACHABLE as error:
                logger.debug("follower: the broker is away: %s", error)
                time.sleep(RECONNECT_SECONDS)
                continue
            if message:
                self._nudge(message["channel"].decode().removeprefix("wh:job:"))

    def _nudge(self, job_id: str) -> None:
        with self._lock:
            for nudge in self._waiting.get(job_id, ()):
                nudge.set()
