"""Read a user's feed: the versions of all their jobs, in the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from jobs.engine.broker.malformed import readable, readable_all, replies

from .records import text


@dataclass(frozen=True)
class FeedEntry:
    """One version of a job, at a position in its owner's feed."""

    position: int
    job_id: str
    version: int

    @classmethod
    def read(cls, entry: bytes) -> FeedEntry:
        position, job_id, version = entry.split(b" ")
        return cls(int(position), text(job_id), int(version))


@dataclass(frozen=True)
class FeedBounds:
    #: Positions; None if the feed is empty.
    first: int | None
    last: int | None
    length: int
    #: The broker's time in microseconds.
    now: int


class Feeds:
    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection

    def bounds(self, user_id: str) -> FeedBounds:
        """Return the first and the last position of a feed."""
        key = f"wh:feed:{user_id}"
        pipeline = self._connection.pipeline()
        pipeline.lindex(key, 0)
        pipeline.lindex(key, -1)
        pipeline.llen(key)
        pipeline.time()
        first, last, length, (seconds, micros) = replies(pipeline)
        ends = readable_all(key, FeedEntry.read, [first, last] if length else [])
        now = seconds * 1_000_000 + micros
        if len(ends) < 2:  # empty, or malformed at an end: followers read the current state again
            return FeedBounds(None, None, 0, now)
        return FeedBounds(ends[0].position, ends[1].position, length, now)

    def entries(self, user_id: str, index: int, limit: int) -> list[FeedEntry]:
        """Return entries of a feed from this index on. The oldest entry that is kept has index 0."""
        key = f"wh:feed:{user_id}"
        found = readable(key, lambda: self._connection.lrange(key, index, index + limit - 1)) or []
        return readable_all(key, FeedEntry.read, found)

    def forget(self, user_id: str) -> None:
        """Delete a feed."""
        self._connection.delete(f"wh:feed:{user_id}")
