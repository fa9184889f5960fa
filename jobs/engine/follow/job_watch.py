"""One job and all its followers in this process: each change is read once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from jobs.engine.broker.store.history import Event, LogLine
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
    def has_no_owner(self) -> bool:
        """True for a job of another RQ client: it has no history, and its changes are not published."""
        return self._job is not None and self._job.user_id is None

    @property
    def log_inboxes(self) -> list[Inbox]:
        """The followers that want the log as well."""
        return [each for each in list(self.inboxes) if each.logged is not None and not each.ended]

    def deliver(self, job: Job | None, events: Callable[[], Sequence[Event]]) -> None:
        """Put the versions that each follower lacks into its inbox.

        Args:
            job: the job as it is now; None: it no longer exists.
            events: reads the job's history. It is called only for a follower that lacks more than one version.
        """
        before, self._job, self.read_at = self._job, job, time.monotonic()
        if job is None:
            self._deliver_gone()
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
                    Message.of(state, id=state.version, progress=mere) for state, mere in versions(job, events())
                ]
                missed = history
            _put_newer(inbox, missed)

    def deliver_log(self, store: Store) -> None:
        """Put the log lines that each follower of the log lacks into its inbox."""
        while inboxes := self.log_inboxes:
            start = min(each.logged or 0 for each in inboxes)
            lines, first = store.logs(self.job_id, start, LOG_LINES)
            if lines:
                _put_lines(inboxes, lines, first)
            if len(lines) < LOG_LINES:
                return

    def _deliver_gone(self) -> None:
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


def _put_lines(inboxes: Sequence[Inbox], lines: Sequence[LogLine], first: int) -> None:
    numbered: list[dict[str, Any]] = [{"number": first + place, **line} for place, line in enumerate(lines)]
    whole = Message("log", lines=numbered)
    for inbox in inboxes:
        had = inbox.logged or 0
        if had <= first:
            inbox.put(whole)
        elif had < first + len(numbered):
            inbox.put(Message("log", lines=numbered[had - first :]))
        inbox.logged = max(had, first + len(numbered))
