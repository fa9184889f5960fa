"""One user's feed and all its followers in this process: the events of all the user's jobs, in order."""

from __future__ import annotations

import time
from collections.abc import Iterable

from jobs.engine.broker.store.feeds import FeedBounds, FeedEntry
from jobs.engine.broker.store.store import Store
from jobs.engine.client.job import Job

from .history import versions
from .inbox import Inbox
from .message import Message

#: As in store/library/history.lua.
KEEP_FEED = 10_000
FEED_MICROS = 86_400 * 1_000_000

#: Entries that are read at once.
READ_ENTRIES = 200


def is_kept(after: int, bounds: FeedBounds) -> bool:
    """Return True if a feed still has every entry after a position.

    Positions are consecutive. After a day without entries a feed is dropped, and the next one starts at the current
    time in microseconds.
    """
    if bounds.first is None or bounds.last is None or after > bounds.last:
        return False
    if after >= bounds.first - 1:
        return True
    return bounds.length < KEEP_FEED and bounds.first - after < FEED_MICROS


class UserWatch:
    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.inboxes: set[Inbox] = set()
        self.read_at = 0.0

    @property
    def channel(self) -> str:
        return f"wh:feed:{self.user_id}"

    def deliver(self, store: Store) -> None:
        """Put the entries of the feed that each follower lacks into its inbox."""
        self.read_at = time.monotonic()
        bounds = store.feeds.bounds(self.user_id)
        if bounds.first is None or bounds.last is None:
            return
        self._reset_late_inboxes(bounds)
        while inboxes := self._inboxes_before(bounds.last):
            start = min(each.after or 0 for each in inboxes)
            entries = store.feeds.entries(self.user_id, max(0, start + 1 - bounds.first), READ_ENTRIES)
            entries = [entry for entry in entries if entry.position > start]
            if not entries:
                return  # the feed was trimmed meanwhile; the next look resets the follower
            self._deliver_entries(store, entries, inboxes)

    def _inboxes_before(self, position: int) -> list[Inbox]:
        following = [each for each in list(self.inboxes) if each.after is not None and not each.ended]
        return [each for each in following if (each.after or 0) < position]

    def _reset_late_inboxes(self, bounds: FeedBounds) -> None:
        """Have followers whose position is no longer kept read the current state, which sets a new position."""
        for inbox in self._inboxes_before(bounds.last or 0):
            if not is_kept(inbox.after or 0, bounds):
                inbox.after = None
                inbox.put(Message("reset"))

    def _deliver_entries(self, store: Store, entries: list[FeedEntry], inboxes: list[Inbox]) -> None:
        for message in _messages_of(store, entries):
            assert message.id is not None
            for inbox in inboxes:
                if inbox.after is not None and message.id > inbox.after:
                    inbox.put(message)
        for inbox in inboxes:
            if inbox.after is not None:
                inbox.after = max(inbox.after, entries[-1].position)


def _messages_of(store: Store, entries: list[FeedEntry]) -> Iterable[Message]:
    """Yield a message for each entry whose version was not superseded."""
    wanted: dict[str, set[int]] = {}
    for entry in entries:
        wanted.setdefault(entry.job_id, set()).add(entry.version)
    jobs = {record.job_id: Job.from_record(record) for record in store.find(list(wanted))}
    states = {job_id: _states(store, jobs[job_id], wanted[job_id]) for job_id in jobs}
    reported_gone: set[str] = set()
    for entry in entries:
        if entry.job_id not in jobs and entry.job_id not in reported_gone:
            reported_gone.add(entry.job_id)
            yield Message.gone(entry.job_id, id=entry.position)
        elif (state := states.get(entry.job_id, {}).get(entry.version)) is not None:
            job, progress = state
            yield Message.of(job, id=entry.position, progress=progress)


def _states(store: Store, job: Job, wanted: set[int]) -> dict[int, tuple[Job, bool]]:
    if wanted == {job.version}:
        return {job.version: (job, False)}
    return {state.version: (state, progress) for state, progress in versions(job, store.events(job.job_id))}
