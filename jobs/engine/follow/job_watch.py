"""One job and all who follow it in this process: it is read once for each change, however many they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from jobs.engine.broker.store.store import Store
from jobs.engine.client.job import Job

from .history import is_progress, versions
from .inbox import Inbox
from .message import Message

#: Log lines that are read at once.
LOG_LINES = 1_000


class JobWatch:
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.inboxes: set[Inbox] = set()
        self.read_at = 0.0
        self._job: Job | None = None

    @property
    def channel(self) -> str:
        return f"wh:job:{self.job_id}"

    @property
    def belongs_to_nobody(self) -> bool:
        """Another RQ client's job: it has no event log, and nobody publishes its changes."""
        return self._job is not None and self._job.user_id is None

    @property
    def followers_of_log(self) -> list[Inbox]:
        return [each for each in list(self.inboxes) if each.logged is not None and not each.ended]

    def tell(self, job: Job | None, events: Callable[[], list[dict[str, Any]]]) -> None:
        """Tell all followers what they don't have yet. `events` reads the event log; it is seldom needed."""
        before, self._job, self.read_at = self._job, job, time.monotonic()
        if job is None:
            self._tell_gone()
            return
        progress = before is not None and job.version == before.version + 1 and is_progress(before, job)
        latest = Message.of(job, id=job.version, progress=progress)
        history: list[Message] | None = None
        for inbox in list(self.inboxes):
            if inbox.after is None or not inbox.every or inbox.after == job.version - 1:
                missed: Sequence[Message] = (latest,)
            elif inbox.after >= job.version:
                continue
            else:
                history = history or [
                    Message.of(each, id=each.version, progress=superseded)
                    for each, superseded in versions(job, events())
                ]
                missed = history
            _put_newer(inbox, missed)

    def tell_log(self, store: Store) -> None:
        """Tell those who follow its log the lines that they don't have yet."""
        while followers := self.followers_of_log:
            start = min(each.logged or 0 for each in followers)
            lines, first = store.logs(self.job_id, start, LOG_LINES)
            if lines:
                _put_lines(followers, lines, first)
            if len(lines) < LOG_LINES:
                return

    def _tell_gone(self) -> None:
        for inbox in list(self.inboxes):
            inbox.put(Message.gone(self.job_id))


def _put_newer(inbox: Inbox, missed: Sequence[Message]) -> None:
    for message in missed:
        assert message.id is not None
        if inbox.after is None or message.id > inbox.after:
            inbox.after = message.id
            inbox.put(message)
            if message.event == "complete" and inbox.every:
                return


def _put_lines(followers: Sequence[Inbox], lines: Sequence[dict[str, Any]], first: int) -> None:
    numbered = [{"number": first + place, **line} for place, line in enumerate(lines)]
    whole = Message("log", lines=numbered)
    for follower in followers:
        had = follower.logged or 0
        if had <= first:
            follower.put(whole)
        elif had < first + len(numbered):
            follower.put(Message("log", lines=numbered[had - first :]))
        follower.logged = max(had, first + len(numbered))
