"""A user's feed: which job came to which version, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis

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
        self._connection = connection

    def bounds(self, user_id: str) -> FeedBounds:
        key = f"wh:feed:{user_id}"
        pipeline = self._connection.pipeline()
        pipeline.lindex(key, 0)
        pipeline.lindex(key, -1)
        pipeline.llen(key)
        pipeline.time()
        first, last, length, (seconds, micros) = pipeline.execute()
        ends = [FeedEntry.read(each).position if each else None for each in (first, last)]
        return FeedBounds(ends[0], ends[1], int(length), seconds * 1_000_000 + micros)

    def entries(self, user_id: str, index: int, limit: int) -> list[FeedEntry]:
        """Entries of a feed from the `index`-th of those that are kept."""
        found = self._connection.lrange(f"wh:feed:{user_id}", index, index + limit - 1)
        return [FeedEntry.read(entry) for entry in cast(list[bytes], found)]

    def forget(self, user_id: str) -> None:
        self._connection.delete(f"wh:feed:{user_id}")
