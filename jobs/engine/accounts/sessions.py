"""The records of browser sessions, and of the links that open them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import json_value, readable

from .credentials import fingerprint, make_secret

LINK_LIFETIME_SECONDS = 86_400
SESSION_LIFETIME_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Grant:
    """The user of a link or a session."""

    user_id: str
    #: The `User.generation` when it was issued.
    generation: str
    #: The digest of the API key that opened the session. The session ends with that key.
    key_digest: str | None = None


class Sessions:
    """Stores sign-in links and sessions, each under the digest of its secret."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection

    @broker_errors()
    def issue_link(self, grant: Grant) -> str:
        """Create the secret of a link that opens one session within a day."""
        return self._keep("wh:signin:", grant, LINK_LIFETIME_SECONDS)

    @broker_errors()
    def redeem_link(self, secret: str) -> Grant | None:
        """Read and void a link in one step, so that only the first of two concurrent requests succeeds."""
        return _grant(self._connection.getdel("wh:signin:" + fingerprint(secret)))

    @broker_errors()
    def open(self, grant: Grant) -> str:
        """Open a session for a week. Return its secret."""
        return self._keep("wh:session:", grant, SESSION_LIFETIME_SECONDS)

    @broker_errors()
    def find(self, secret: str) -> Grant | None:
        """Return the user of a session, or None if it has ended."""
        key = session_key(secret)
        return _grant(readable(key, lambda: self._connection.get(key)))

    @broker_errors()
    def close(self, secret: str) -> None:
        """End a session."""
        self._connection.delete(session_key(secret))

    def _keep(self, prefix: str, grant: Grant, seconds: int) -> str:
        secret = make_secret()
        record = json.dumps([grant.user_id, grant.generation, grant.key_digest])
        self._connection.set(prefix + fingerprint(secret), record, ex=seconds)
        return secret


def session_key(secret: str) -> str:
    """Return the name of a session's record in the broker."""
    return "wh:session:" + fingerprint(secret)


def _grant(record: bytes | None) -> Grant | None:
    parts = json_value(record)
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(each, str) for each in parts[:2]):
        return None
    return Grant(*parts) if parts[1].isascii() else None  # a generation is compared in constant time, as ASCII
