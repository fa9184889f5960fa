"""Run the broker's scripts with as little work of ours as there can be: for a process whose every request runs one.

redis-py (8.1.0, client.py and connection.py) spends more on a call than sending and reading take: it looks at the
connection before lending it, counts for its metrics, and goes through its retries.
"""

from __future__ import annotations

import time
from typing import Any

import redis

#: A connection that was used so lately is lent without a look, by which a broken one would be noticed and replaced.
FRESH_SECONDS = 0.5
#: Connections that are held ready. All others are in redis-py's pool.
KEEP = 8


class FastRedis(redis.Redis):
    """A client whose EVALSHA is quick. Not for a process that forks: its children would share the held connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ready: list[tuple[float, Any]] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] != "EVALSHA":
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        connection = self._take()
        try:
            connection.send_packed_command(connection.pack_command(*args), check_health=False)
            return connection.read_response()
        finally:
            # One that has failed is closed, and opens itself anew when it is used.
            self._put(connection)

    def _take(self) -> Any:
        try:
            used_at, connection = self._ready.pop()
        except IndexError:
            return self.connection_pool.get_connection()
        if time.monotonic() - used_at < FRESH_SECONDS:
            return connection
        # What lies deeper has lain longer.
        self.connection_pool.release(connection)
        return self._take()

    def _put(self, connection: Any) -> None:
        if len(self._ready) < KEEP:
            self._ready.append((time.monotonic(), connection))
        else:
            self.connection_pool.release(connection)
