"""Follow a job, or all of a user's jobs, and yield each message as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from jobs.engine.broker.connection import broker_errors
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.errors import JobNotFound
from jobs.engine.states import Status

from .inbox import Inbox
from .message import Message
from .user_watch import is_kept
from .watches import Watches


class Follower:
    """Follows jobs and users for a whole process.

    `stopping` is called twice a second. Once it returns True, everything that is followed ends.
    """

    def __init__(self, client: Client, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._client = client
        self._feeds = client.store.feeds
        self.watches = Watches(client.store, stopping)

    def wait(self, job_id: str, *, after: int | None, timeout: float) -> Job:
        """Return a job once it has changed.

        Args:
            after: a version; returns as soon as there is a later one. None: returns as soon as the job ends.
            timeout: seconds, after which the job is returned as it is.

        Raises:
            JobNotFound, BrokerUnavailable
        """

        def arrived(job: Job) -> bool:
            return job.status.terminal if after is None else job.version > after

        deadline = time.monotonic() + timeout
        job = self._client.find(job_id)
        if arrived(job) or timeout <= 0:
            return job
        inbox = Inbox()
        inbox.every = False
        inbox.after = job.version
        with self.watches.job(job_id, inbox):
            while (left := deadline - time.monotonic()) > 0 and not inbox.ended:
                message = inbox.take(left)
                if message is not None and message.event == "error":
                    raise JobNotFound(f"There is no job {job_id[:64]!r}; it may have expired.")
                if message is not None and message.job is not None and arrived(message.job):
                    return message.job
        return self._client.find(job_id)

    def follow_job(
        self, job_id: str, after: int | None, inbox: Inbox, *, logs: bool = False, idle_seconds: float
    ) -> Iterator[Message | None]:
        """Yield every version of a job after a known one, until the job ends, expires, or the inbox ends.

        Args:
            after: the known version. None: begins with the current state.
            logs: True: also yields the log, from the oldest line that is kept.
            idle_seconds: seconds of silence after which None is yielded.
        """
        inbox.after = after
        inbox.logged = 0 if logs else None
        with self.watches.job(job_id, inbox):
            for message in _taken(inbox, idle_seconds):
                yield message
                if message is not None and message.event in ("complete", "error"):
                    return

    def follow_user(
        self, user_id: str, after: int | None, inbox: Inbox, *, idle_seconds: float
    ) -> Iterator[Message | None]:
        """Yield the events of all of a user's jobs after a position of their feed, until the inbox ends.

        Without a position, or after one that is no longer kept, it begins with the jobs that have not ended.

        Raises:
            BrokerUnavailable: before the first message.
        """
        with self.watches.user(user_id, inbox):
            known: dict[str, int] = {}
            with broker_errors():
                bounds = self._feeds.bounds(user_id)
            if after is not None and is_kept(after, bounds):
                self.watches.continue_from(user_id, inbox, after)
            else:
                if after is not None:
                    yield Message("reset")
                yield from self._current(user_id, inbox, known)
            for message in _taken(inbox, idle_seconds):
                if message is not None and message.event == "reset":
                    yield message
                    yield from self._current(user_id, inbox, known)
                elif message is None or not _is_known(message, known):
                    yield message

    def _current(self, user_id: str, inbox: Inbox, known: dict[str, int]) -> Iterator[Message]:
        """Yield the jobs that have not ended. The last one carries the position that the feed had before the reads."""
        with broker_errors():
            bounds = self._feeds.bounds(user_id)
        position = bounds.last if bounds.last is not None else bounds.now
        self.watches.continue_from(user_id, inbox, position)
        held: Job | None = None
        for job in self._unfinished(user_id):
            known[job.job_id] = job.version
            if held is not None:
                yield Message.of(held, id=None)
            held = job
        yield Message("position", position) if held is None else Message.of(held, id=position)

    def _unfinished(self, user_id: str) -> Iterator[Job]:
        for status in (Status.RUNNING, Status.PENDING):
            cursor = None
            while True:
                page = self._client.page(user_id, status=status, limit=100, cursor=cursor)
                yield from page.jobs
                cursor = page.next_cursor
                if cursor is None:
                    break


def _taken(inbox: Inbox, idle_seconds: float) -> Iterator[Message | None]:
    inbox.idle_seconds = idle_seconds
    while not inbox.ended:
        message = inbox.take(None)
        if message is not None or not inbox.ended:
            yield message


def _is_known(message: Message, known: dict[str, int]) -> bool:
    """Return True for a version that the current state included: it was read after the position that it carries."""
    if message.job is None:
        return False
    if message.job.version <= known.get(message.job.job_id, 0):
        return True
    known.pop(message.job.job_id, None)
    return False
