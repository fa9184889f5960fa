"""The records of API keys. Only the SHA-256 of a key is stored."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import redis
from pydantic import Field

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors
from jobs.engine.errors import ApiKeyNotFound, Conflict, UserNotFound
from jobs.engine.times import read_time

from .credentials import fingerprint, make_api_key

#: The id of the key that is set by ADMIN_API_KEY, or by the file in DATA_DIR.
CONFIGURED = "configured"

MAX_KEYS_PER_USER = 100


@dataclass(frozen=True)
class ApiKey:
    """An API key, without the key itself."""

    id: str
    user_id: Annotated[str, Field(exclude=True)]
    name: str
    created_at: datetime


_CREATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[1]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], unpack(ARGV, 4))
return 'created'
"""

_REVOKE = """
local digest = redis.call('HGET', KEYS[1], ARGV[1])
if not digest then return false end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', 'wh:apikey:' .. digest)
return digest
"""


class ApiKeys:
    """Stores API keys by their digest, and lists them by user."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection
        self._create: Any = connection.register_script(_CREATE)
        self._revoke: Any = connection.register_script(_REVOKE)

    @broker_errors()
    def create(self, user_id: str, name: str) -> tuple[ApiKey, str]:
        """Create a key. Return its record and the key itself, which can't be read again.

        Raises:
            UserNotFound: there is no such user, or they are being removed.
            Conflict: the user has 100 keys.
        """
        secret = make_api_key()
        key = ApiKey(secrets.token_hex(8), user_id, name, datetime.now(UTC))
        digest = fingerprint(secret)
        fields = ["user_id", user_id, "id", key.id, "name", name, "created_at", key.created_at.isoformat()]
        keys = [f"wh:user:{user_id}", f"wh:apikeys:{user_id}", record_key(digest)]
        outcome = self._create(keys=keys, args=[MAX_KEYS_PER_USER, key.id, digest, *fields])
        if outcome == b"missing":
            raise UserNotFound
        if outcome == b"full":
            raise _too_many()
        return key, secret

    @broker_errors()
    def check_create(self, user_id: str) -> None:
        """Raise Conflict if `create` would now."""
        if self._connection.hlen(f"wh:apikeys:{user_id}") >= MAX_KEYS_PER_USER:
            raise _too_many()

    @broker_errors()
    def of_user(self, user_id: str) -> list[ApiKey]:
        """Return a user's keys, oldest first."""
        listed = f"wh:apikeys:{user_id}"
        digests = malformed.readable(listed, lambda: self._connection.hvals(listed)) or []
        pipeline = self._connection.pipeline(transaction=False)
        for digest in digests:
            pipeline.hgetall(record_key(malformed.text(digest)))
        keys = malformed.readable_all(listed, _api_key, filter(None, malformed.replies(pipeline)))
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    @broker_errors()
    def find(self, digest: str) -> ApiKey | None:
        """Return the key with a SHA-256, or None if there is no such key."""
        key = record_key(digest)
        fields = malformed.readable(key, lambda: self._connection.hgetall(key))
        return malformed.readable(key, lambda: _api_key(fields)) if fields else None

    @broker_errors()
    def revoke(self, user_id: str, key_id: str) -> str:
        """Remove a key of a user. Return its digest.

        Raises:
            ApiKeyNotFound: the user has no such key.
            Conflict: it is the configured key, which the next start would restore.
        """
        if key_id == CONFIGURED:
            self.check_revoke(user_id, key_id)
        digest: bytes | None = self._revoke(keys=[f"wh:apikeys:{user_id}"], args=[key_id])
        if digest is None:
            raise ApiKeyNotFound
        return digest.decode()

    @broker_errors()
    def check_revoke(self, user_id: str, key_id: str) -> None:
        """Raise what `revoke` would raise now."""
        if not self._connection.hexists(f"wh:apikeys:{user_id}", key_id):
            raise ApiKeyNotFound
        if key_id == CONFIGURED:
            raise Conflict("This key is set by ADMIN_API_KEY, or stored in DATA_DIR/admin_api_key; change it there.")


def record_key(digest: str) -> str:
    """Return the name of a key's record in the broker, which exists as long as the key is valid."""
    return f"wh:apikey:{digest}"


def _too_many() -> Conflict:
    return Conflict(f"You have reached your limit of {MAX_KEYS_PER_USER} API keys; revoke one first.")


def _api_key(fields: dict[bytes, bytes]) -> ApiKey:
    text = {malformed.text(name): malformed.text(value) for name, value in fields.items()}
    return ApiKey(text["id"], text["user_id"], text["name"], read_time(text["created_at"]))
