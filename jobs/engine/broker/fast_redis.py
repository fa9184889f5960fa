"""Run scripts with less overhead than redis-py, for web processes and workers.

redis-py (8.1.0, client.py and connection.py) spends more time on a call than sending and reading take: it checks the
connection before lending it, counts for its metrics, and goes through its retries.
"""

from __future__ import annotations

import time
from typing import Any

import redis
from hiredis import pack_command

#: The commands that are fast: calls of scripts and functions, and what an idle worker waits with.
_FAST = frozenset({"EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO", "BLPOP"})
#: A connection that was used this recently is lent without redis-py's check, which replaces broken connections.
FRESH_SECONDS = 0.5
#: So many connections are held ready. All others are in redis-py's pool.
KEEP = 8


class FastRedis(redis.Redis):
    """A client whose calls of scripts and functions are fast, and whose BLPOP is.

    It is not for processes that fork: children would share the connections.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ready: list[tuple[float, Any]] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] not in _FAST:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        connection = self._take()
        try:
            _send(connection, pack_command(args))
            return connection.read_response()
        finally:
            # A connection that has failed is closed, and opens itself again at its next use.
            self._put(connection)

    def _take(self) -> Any:
        try:
            used_at, connection = self._ready.pop()
        except IndexError:
            return self.connection_pool.get_connection()
        if time.monotonic() - used_at < FRESH_SECONDS:
            return connection
        # The connections below it are idle for longer still.
        self.connection_pool.release(connection)
        return self._take()

    def _put(self, connection: Any) -> None:
        if len(self._ready) < KEEP:
            self._ready.append((time.monotonic(), connection))
        else:
            self.connection_pool.release(connection)


def _send(connection: Any, command: bytes) -> None:
    """Send a command, usually with one system call: gevent's `sendall` (26.9.0) first asks for the size of a buffer."""
    sent = 0
    if connection._sock:
        try:
            sent = connection._sock.send(command)
        except OSError:
            pass  # redis-py sees the same error, and closes the connection
    if sent < len(command):
        connection.send_packed_command([command[sent:]], check_health=False)
