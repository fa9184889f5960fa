"""What a user's webhooks are signed with: one secret, and for a day after a rotation the one before it as well.

A receiver proves with it who sent a message (Standard Webhooks), so it is kept as it is, not as a hash. The scores of
`wh:webhook-secrets:<user>` say until when each one signs; the current one has no end.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.errors import UserNotFound

ROTATION_SECONDS = 86_400
#: Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32
#: Rotating again and again makes no list without end: the oldest stop signing.
MAX_SECRETS = 5

_READ = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'no_user' end
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCOUNT', KEYS[2], '+inf', '+inf') == 0 then redis.call('ZADD', KEYS[2], '+inf', ARGV[1]) end
return redis.call('ZREVRANGE', KEYS[2], 0, -1)
"""

_ROTATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'no_user' end
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


@dataclass(frozen=True)
class Rotated:
    secret: str
    #: Until when the secret before it signs as well; None if there was none.
    previous_ends_at: datetime | None


class WebhookSecrets:
    """Every method raises UserNotFound if there is no such user."""

    def __init__(self, connection: redis.Redis) -> None:
        self._read: Any = connection.register_script(_READ)
        self._rotate: Any = connection.register_script(_ROTATE)

    @broker_errors()
    def signing(self, user_id: str) -> list[str]:
        """Every secret that signs now, the current one first. The first one is made when it is first asked for."""
        found = self._read(keys=_keys(user_id), args=[_new()])
        if found == b"no_user":
            raise UserNotFound
        return [secret.decode() for secret in found]

    @broker_errors()
    def rotate(self, user_id: str) -> Rotated:
        """Make a new secret. The one before it signs as well for a day, so that receivers can change over."""
        secret = _new()
        ends = self._rotate(keys=_keys(user_id), args=[secret, ROTATION_SECONDS, MAX_SECRETS])
        if ends == b"no_user":
            raise UserNotFound
        return Rotated(secret, datetime.fromtimestamp(float(ends), UTC) if ends else None)


def _keys(user_id: str) -> list[str]:
    return [f"wh:user:{user_id}", f"wh:webhook-secrets:{user_id}"]


def _new() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
