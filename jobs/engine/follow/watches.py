"""The jobs and users that a process follows, each read once for all its followers.

A change is published in the same atomic step that makes it. What is published is only a nudge: the listener's thread
then reads the job or the feed, and delivers what each follower lacks to its inbox.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from jobs.engine.broker.connection import NOT_NOW, broker_errors
from jobs.engine.broker.store.records import Record
from jobs.engine.broker.store.store import Store
from jobs.engine.client.job import Job

from .inbox import Inbox
from .job_watch import JobWatch
from .listener import Listener
from .user_watch import UserWatch

logger = logging.getLogger("workhorse")

Watch = TypeVar("Watch", JobWatch, UserWatch)

JOB_CHANNEL, USER_CHANNEL = "wh:job:", "wh:feed:"

#: Seconds after which a watch is read even without a nudge: a job can expire without one.
READ_AGAIN_SECONDS = 5.0
#: The same for jobs of other RQ clients, whose changes are not published, and for logs.
READ_UNPUBLISHED_SECONDS = 1.0
#: Jobs that are read in one round trip, and jobs that one beat reads again at most.
READ_JOBS = 25
READ_AGAIN_JOBS = 200


class Watches:
    """Delivers changes to inboxes.

    `stopping` is called twice a second. Once it returns True, all inboxes end.
    """

    def __init__(self, store: Store, stopping: Callable[[], bool]) -> None:
        self._store = store
        self._stopping = stopping
        self._jobs: dict[str, JobWatch] = {}
        self._users: dict[str, UserWatch] = {}
        self._lock = threading.Lock()
        self._listener = Listener(store.connection, self._nudged, self._read_again, self._beat)

    def __len__(self) -> int:
        """Return the number of jobs and users that are followed now."""
        with self._lock:
            return len(self._jobs) + len(self._users)

    def job(self, job_id: str, inbox: Inbox) -> AbstractContextManager[None]:
        """Follow a job with this inbox inside the context."""
        return self._joined(self._jobs, JobWatch, job_id, inbox)

    def user(self, user_id: str, inbox: Inbox) -> AbstractContextManager[None]:
        """Follow a user's jobs with this inbox inside the context, once `continue_from` has set its position."""
        return self._joined(self._users, UserWatch, user_id, inbox)

    def continue_from(self, user_id: str, inbox: Inbox, position: int) -> None:
        """Deliver to this inbox what comes after a position of the user's feed."""
        inbox.after = position
        self._listener.join(f"{USER_CHANNEL}{user_id}")

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
        self._read(list(filter(None, jobs)), list(filter(None, users)))

    def _read(self, jobs: Sequence[JobWatch], users: Sequence[UserWatch]) -> None:
        with broker_errors():
            for start in range(0, len(jobs), READ_JOBS):
                self._read_jobs(jobs[start : start + READ_JOBS])
                time.sleep(0)  # lets other threads run: a hundred followers may have something to send now
            for user in users:
                user.deliver(self._store)

    def _read_jobs(self, watches: Sequence[JobWatch]) -> None:
        found = {record.job_id: record for record in self._store.find([watch.job_id for watch in watches])}
        for watch in watches:
            try:
                self._deliver(watch, found.get(watch.job_id))
            except NOT_NOW:
                raise
            except Exception:  # an unreadable job must not silence all others
                logger.exception("listener: changes of job %s can't be delivered", watch.job_id)

    def _deliver(self, watch: JobWatch, record: Record | None) -> None:
        if watch.log_inboxes:
            watch.deliver_log(self._store)
        job = Job.from_record(record) if record is not None else None
        watch.deliver(job, lambda: self._store.events(watch.job_id))

    def _beat(self) -> None:
        with self._lock:
            watches: list[JobWatch | UserWatch] = [*self._jobs.values(), *self._users.values()]
        stopping = self._stopping()
        for inbox in [each for watch in watches for each in list(watch.inboxes)]:
            if stopping:
                inbox.end()
            elif inbox.slow:
                inbox.cut()
            else:
                inbox.remind_if_idle()

    def _read_again(self) -> None:
        """Read the watches that have had no nudge for a while."""
        now = time.monotonic()
        with self._lock:
            jobs = [watch for watch in self._jobs.values() if now - watch.read_at > _seconds_between_reads(watch)]
            users = [watch for watch in self._users.values() if now - watch.read_at > READ_AGAIN_SECONDS]
        self._read(jobs[:READ_AGAIN_JOBS], users)


def _seconds_between_reads(watch: JobWatch) -> float:
    unpublished = watch.has_no_owner or watch.log_inboxes
    return READ_UNPUBLISHED_SECONDS if unpublished else READ_AGAIN_SECONDS
