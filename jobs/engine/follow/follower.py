"""Following jobs: one listener a process, however many follow.

A change of a job is published in the same atomic step that makes it. What is published is only a nudge: the listener
reads the job again, once for all who follow it here, and puts what they miss into their queues.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from jobs.engine.broker.connection import NOT_NOW, broker_errors
from jobs.engine.broker.store.records import Record
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.errors import JobNotFound
from jobs.engine.states import Status

from .inbox import Inbox
from .job_watch import JobWatch
from .listener import Listener
from .message import Message
from .user_watch import UserWatch, is_kept

logger = logging.getLogger("workhorse")

Watch = TypeVar("Watch", JobWatch, UserWatch)

JOB_CHANNEL, USER_CHANNEL = "wh:job:", "wh:feed:"

#: Seconds after which what is followed is read even if nobody nudged: a job may expire in silence.
LOOK_SECONDS = 5.0
#: The same for jobs of other RQ clients, whose changes nobody publishes, and for logs.
UNPUBLISHED_LOOK_SECONDS = 1.0
#: Jobs that are read at once, and that are looked at in one beat.
READ_JOBS = 25
LOOK_JOBS = 200


class Follower:
    """Follows jobs and users for a whole process.

    `stopping` is asked twice a second: once it answers True, everything that is followed ends.
    """

    def __init__(self, client: Client, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._client = client
        self._store = client.store
        self.stopping = stopping
        self._jobs: dict[str, JobWatch] = {}
        self._users: dict[str, UserWatch] = {}
        self._lock = threading.Lock()
        self._listener = Listener(client.store.connection, self._nudged, self._look_again, self._beat)

    # --- for those who follow -------------------------------------------------------

    def wait(self, job_id: str, *, after: int | None, timeout: float) -> Job:
        """Read a job once it has changed.

        Args:
            after: the version that is known; answers as soon as there is a later one. None: as soon as the job ends.
            timeout: seconds, after which the job is answered as it is.

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
        with self._joined(self._jobs, JobWatch, job_id, inbox):
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
        """Every version of a job after the one that is known, until it ends, is gone, or the inbox ends.

        Args:
            after: the version that is known. None: begins with the current state.
            logs: also what it logs and prints, from the oldest line that is kept.
            idle_seconds: of silence after which None is given out.
        """
        inbox.after = after
        inbox.logged = 0 if logs else None
        with self._joined(self._jobs, JobWatch, job_id, inbox):
            for message in _taken(inbox, idle_seconds):
                yield message
                if message is not None and message.event in ("complete", "error"):
                    return

    def follow_user(
        self, user_id: str, after: int | None, inbox: Inbox, *, idle_seconds: float
    ) -> Iterator[Message | None]:
        """What happens to any job of a user after a position of their feed, until the inbox ends.

        Without a position, and after one that is too old, it begins with the jobs that have not ended.

        Raises:
            BrokerUnavailable: before the first message.
        """
        with self._joined(self._users, UserWatch, user_id, inbox):
            known: dict[str, int] = {}
            with broker_errors():
                bounds = self._store.feeds.bounds(user_id)
            if after is not None and is_kept(after, bounds):
                self._go_on(user_id, inbox, after)
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
        """The jobs that have not ended. The last of them carries the position that the feed had before."""
        with broker_errors():
            bounds = self._store.feeds.bounds(user_id)
        position = bounds.last if bounds.last is not None else bounds.now
        self._go_on(user_id, inbox, position)
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

    def _go_on(self, user_id: str, inbox: Inbox, position: int) -> None:
        inbox.after = position
        self._listener.join(f"wh:feed:{user_id}")

    # --- who follows what ---------------------------------------------------------------

    @contextmanager
    def _joined(
        self, watches: dict[str, Watch], kind: Callable[[str], Watch], name: str, inbox: Inbox
    ) -> Iterator[None]:
        with self._lock:
            watch = watches.setdefault(name, kind(name))
            watch.inboxes.add(inbox)
            self._listener.join(watch.channel)
        try:
            yield
        finally:
            with self._lock:
                watch.inboxes.discard(inbox)
                if not watch.inboxes:
                    del watches[name]
                    self._listener.leave(watch.channel)

    # --- in the listener's thread ---------------------------------------------------------

    def _nudged(self, channels: set[str]) -> None:
        jobs = [self._jobs.get(each.removeprefix(JOB_CHANNEL)) for each in channels if each.startswith(JOB_CHANNEL)]
        users = [self._users.get(each.removeprefix(USER_CHANNEL)) for each in channels if each.startswith(USER_CHANNEL)]
        self._look(list(filter(None, jobs)), list(filter(None, users)))

    def _look(self, jobs: Sequence[JobWatch], users: Sequence[UserWatch]) -> None:
        with broker_errors():
            for start in range(0, len(jobs), READ_JOBS):
                self._read(jobs[start : start + READ_JOBS])
                time.sleep(0)  # lets others on: a hundred followers may have something to send now
            for user in users:
                user.tell(self._store)

    def _read(self, watches: Sequence[JobWatch]) -> None:
        found = {record.job_id: record for record in self._store.find([watch.job_id for watch in watches])}
        for watch in watches:
            try:
                self._tell(watch, found.get(watch.job_id))
            except NOT_NOW:
                raise
            except Exception:  # one that can't be read must not silence all others
                logger.exception("listener: job %s can't be told of", watch.job_id)

    def _tell(self, watch: JobWatch, record: Record | None) -> None:
        if watch.followers_of_log:
            watch.tell_log(self._store)
        job = Job.from_record(record) if record is not None else None
        watch.tell(job, lambda: self._store.events(watch.job_id))

    def _beat(self) -> None:
        with self._lock:
            watches: list[JobWatch | UserWatch] = [*self._jobs.values(), *self._users.values()]
        over = self.stopping()
        for inbox in [each for watch in watches for each in list(watch.inboxes)]:
            if over:
                inbox.end()
            elif inbox.slow:
                inbox.cut()
            else:
                inbox.remind_if_idle()

    def _look_again(self) -> None:
        """Look at what nobody nudged about for a while."""
        now = time.monotonic()
        with self._lock:
            jobs = [watch for watch in self._jobs.values() if now - watch.read_at > _patience(watch)]
            users = [watch for watch in self._users.values() if now - watch.read_at > LOOK_SECONDS]
        self._look(jobs[:LOOK_JOBS], users)


def _patience(watch: JobWatch) -> float:
    unpublished = watch.belongs_to_nobody or watch.followers_of_log
    return UNPUBLISHED_LOOK_SECONDS if unpublished else LOOK_SECONDS


def _taken(inbox: Inbox, idle_seconds: float) -> Iterator[Message | None]:
    inbox.idle_seconds = idle_seconds
    while not inbox.ended:
        message = inbox.take(None)
        if message is not None or not inbox.ended:
            yield message


def _is_known(message: Message, known: dict[str, int]) -> bool:
    """Whether the current state, which was read after the position that it carries, told this already."""
    if message.job is None:
        return False
    if message.job.version <= known.get(message.job.job_id, 0):
        return True
    known.pop(message.job.job_id, None)
    return False
