"""A user's feed: which job came to which version, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from jobs.engine.broker.malformed import readable, readable_all, replies

from .records import text


@dataclass(frozen=True)
class FeedEntry:
    """That a job came to a version, at a position in its owner's feed."""

    position: int
    job_id: str
    version: int

    @classmethod
    def read(cls, entry: bytes) -> FeedEntry:
        position, job_id, version = entry.split(b" ")
        return cls(int(position), text(job_id), int(version))


@dataclass(frozen=True)
class FeedBounds:
    """The first and the last position of a feed, None if it is empty; its length; the broker's time in microseconds."""

    first: int | None
    last: int | None
    length: int
    now: int


class Feeds:
    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection

    def bounds(self, user_id: str) -> FeedBounds:
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
        """Entries of a feed from the `index`-th of those that are kept."""
        key = f"wh:feed:{user_id}"
        found = readable(key, lambda: self._connection.lrange(key, index, index + limit - 1)) or []
        return readable_all(key, FeedEntry.read, found)

    def forget(self, user_id: str) -> None:
        self._connection.delete(f"wh:feed:{user_id}")
