"""The secrets that sign a user's webhooks: the current one and, for a day after a rotation, the one before it.

The receiver needs the same secret to check a signature (Standard Webhooks), so the secret is stored as it is, not as
a hash. The score of an entry in `wh:webhook-secrets:<user>` is the time until which it signs; infinity for the
current one.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import text
from jobs.engine.errors import UserNotFound

ROTATION_SECONDS = 86_400
#: Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32
#: With more rotations than this in a day, the oldest secrets stop signing.
MAX_SECRETS = 5

# Secrets of another type can't have been made here: they are replaced.
_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'no_user' end
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' then redis.call('DEL', KEYS[2]) end
"""

_READ = (
    _BEGIN
    + """
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCOUNT', KEYS[2], '+inf', '+inf') == 0 then redis.call('ZADD', KEYS[2], '+inf', ARGV[1]) end
return redis.call('ZREVRANGE', KEYS[2], 0, -1)
"""
)

_ROTATE = (
    _BEGIN
    + """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local ends = ''
for _, current in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '+inf', '+inf')) do
  ends = now + tonumber(ARGV[2])
  redis.call('ZADD', KEYS[2], ends, current)
end
redis.call('ZADD', KEYS[2], '+inf', ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[3]))
return tostring(ends)
"""
)


@dataclass(frozen=True)
class Rotated:
    secret: str
    #: When the previous secret stops signing; None if there was none.
    previous_ends_at: datetime | None


class WebhookSecrets:
    """Every method raises UserNotFound if there is no such user."""

    def __init__(self, connection: redis.Redis) -> None:
        self._read: Any = connection.register_script(_READ)
        self._rotate: Any = connection.register_script(_ROTATE)

    @broker_errors()
    def signing(self, user_id: str) -> list[str]:
        """Return all secrets that sign now, the current one first. The first call creates the first secret."""
        found = self._read(keys=_keys(user_id), args=[_new()])
        if found == b"no_user":
            raise UserNotFound
        return [text(secret) for secret in found]

    @broker_errors()
    def rotate(self, user_id: str) -> Rotated:
        """Make a new secret. The previous one also signs for a day, so that receivers can switch over."""
        secret = _new()
        ends = self._rotate(keys=_keys(user_id), args=[secret, ROTATION_SECONDS, MAX_SECRETS])
        if ends == b"no_user":
            raise UserNotFound
        return Rotated(secret, datetime.fromtimestamp(float(ends), UTC) if ends else None)


def _keys(user_id: str) -> list[str]:
    return [f"wh:user:{user_id}", f"wh:webhook-secrets:{user_id}"]


def _new() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
