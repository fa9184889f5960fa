"""All users: stored, found, closed and removed."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, text
from jobs.engine.errors import Conflict, Unauthenticated, UserExists, UserNotFound

from .user import ADMIN_ROLE, USER_ROLE, User, new_record
from .usernames import is_username

# A script is atomic: the name and the address are both taken, or neither is.
_ADD = """
if redis.call('EXISTS', KEYS[1], KEYS[6]) > 0 or redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
if ARGV[3] == '1' then redis.call('SADD', KEYS[4], ARGV[1]) end
return 1
"""

# Moves the record aside: keys, tokens, sessions, links, requests and submissions all end with it.
# The name stays taken until everything of the user is removed.
_CLOSE = """
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.call('EXISTS', KEYS[6]) == 1 and 'closed' or 'missing'
end
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 and redis.call('SCARD', KEYS[4]) == 1 then return 'last admin' end
for _, digest in ipairs(redis.call('HVALS', KEYS[5])) do redis.call('DEL', 'wh:apikey:' .. digest) end
redis.call('DEL', KEYS[5], 'wh:webhooks:' .. ARGV[1], 'wh:webhook-secrets:' .. ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('RENAME', KEYS[1], KEYS[6])
return 'closed'
"""

_REMOVE = """
local email = redis.call('HGET', KEYS[6], 'email_key')
if email and redis.call('HGET', KEYS[3], email) == ARGV[1] then redis.call('HDEL', KEYS[3], email) end
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[6])
"""

# A new generation voids the tokens and sessions that were opened with the old password.
_RENEW = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSET', KEYS[1], 'password', ARGV[1], 'generation', ARGV[2])
"""

# Creates the configured administrator if it is missing, and replaces its previous configured key.
_ENSURE_ADMIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], unpack(ARGV, 5))
    redis.call('HSETNX', KEYS[3], ARGV[2], ARGV[1])
end
redis.call('DEL', KEYS[6])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
local earlier = redis.call('HGET', KEYS[5], ARGV[4])
if earlier and earlier ~= ARGV[3] then redis.call('DEL', 'wh:apikey:' .. earlier) end
redis.call('HSET', KEYS[5], ARGV[4], ARGV[3])
local created_at = redis.call('HGET', KEYS[1], 'created_at')
local owner = {'user_id', ARGV[1], 'id', ARGV[4], 'name', 'ADMIN_API_KEY', 'created_at', created_at}
redis.call('HSET', 'wh:apikey:' .. ARGV[3], unpack(owner))
"""


class Users:
    """Stores, finds and removes users. Each change is one script, so no change is half done."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection
        self._add: Any = connection.register_script(_ADD)
        self._close: Any = connection.register_script(_CLOSE)
        self._remove: Any = connection.register_script(_REMOVE)
        self._renew: Any = connection.register_script(_RENEW)
        self._ensure_admin: Any = connection.register_script(_ENSURE_ADMIN)

    @broker_errors()
    def add(self, user_id: str, email: str, password_hash: str, roles: Iterable[str]) -> User:
        """Store a new user.

        Raises:
            UserExists: the name or the e-mail address is taken.
        """
        record = new_record(email, password_hash, tuple(roles))
        admin = "1" if ADMIN_ROLE in roles else ""
        if not self._add(keys=_keys(user_id), args=[user_id, email.casefold(), admin, *_flat(record)]):
            raise UserExists
        return User.from_record(user_id, record)

    @broker_errors()
    def find(self, user_id: str) -> User:
        """Return a user. Raises UserNotFound if there is no such user."""
        user = _readable(user_id, self._record(user_id))
        if user is None:
            raise UserNotFound
        return user

    def holder(self, user_id: str, generation: str) -> User:
        """Return the user that a credential was issued to.

        Raises:
            Unauthenticated: they were removed; a later user of the same name has another generation.
        """
        try:
            user = self.find(user_id)
            if hmac.compare_digest(user.generation, generation):
                return user
        except UserNotFound:
            pass  # reported in the same words as a later user of that name
        raise Unauthenticated("The user of this credential has been removed.")

    @broker_errors()
    def names(self) -> list[str]:
        """Return the names of all users, in order."""
        return sorted(text(name) for name in self._connection.smembers("wh:users"))

    @broker_errors()
    def all(self) -> list[User]:
        """Return all users by name. This reads every record, so it is for operators only."""
        users = [_readable(name, self._record(name)) for name in self.names()]
        return [user for user in users if user is not None]

    @broker_errors()
    def set_password(self, user_id: str, password_hash: str) -> None:
        """Change a password. Tokens and sessions end with the old one, API keys do not. Raises UserNotFound."""
        user = self.find(user_id)
        self._renew(keys=[f"wh:user:{user.user_id}"], args=[password_hash, secrets.token_hex(8)])

    @broker_errors()
    def find_with_password(self, user_id: str) -> tuple[User, str] | None:
        """Return a user and the hash of their password, or None if there is no such user. The hash may be empty."""
        record = self._record(user_id)
        user = _readable(user_id, record)
        return (user, record.get("password", "")) if user is not None else None

    @broker_errors()
    def close(self, user_id: str) -> None:
        """Void all credentials of a user for good. The name stays taken until `remove`.

        Raises:
            UserNotFound: there is no such user.
            Conflict: this is the only administrator.
        """
        if not is_username(user_id):
            raise UserNotFound
        outcome = self._close(keys=_keys(user_id), args=[user_id])
        if outcome == b"missing":
            raise UserNotFound
        if outcome == b"last admin":
            raise _last_admin()

    @broker_errors()
    def check_close(self, user_id: str) -> None:
        """Raise what `close` would raise now."""
        if self.find(user_id).is_admin and self._connection.scard("wh:admins") == 1:
            raise _last_admin()

    @broker_errors()
    def remove(self, user_id: str) -> None:
        """Remove the record of a closed user. Their name and address are free again."""
        self._remove(keys=_keys(user_id), args=[user_id])

    @broker_errors()
    def ensure_admin(self, user_id: str, email: str, key_id: str, key_digest: str) -> None:
        """Create the configured administrator if it is missing, with exactly one configured key."""
        record = new_record(email, "", (ADMIN_ROLE, USER_ROLE))
        args = [user_id, email.casefold(), key_digest, key_id, *_flat(record)]
        self._ensure_admin(keys=_keys(user_id), args=args)

    def _record(self, user_id: str) -> dict[str, str]:
        if not is_username(user_id):  # a name with a colon could be the key of another record
            return {}
        key = f"wh:user:{user_id}"
        fields: dict[bytes, bytes] = readable(key, lambda: self._connection.hgetall(key)) or {}
        return {text(name): text(value) for name, value in fields.items()}


def _last_admin() -> Conflict:
    return Conflict("This is the only administrator; create another one first.")


def _keys(user_id: str) -> list[str]:
    own = f"wh:user:{user_id}", f"wh:apikeys:{user_id}", f"wh:closed:{user_id}"
    return [own[0], "wh:users", "wh:emails", "wh:admins", own[1], own[2]]


def _flat(record: dict[str, str]) -> list[str]:
    return [part for item in record.items() for part in item]


def _readable(user_id: str, record: dict[str, str]) -> User | None:
    return readable(f"wh:user:{user_id}", lambda: User.from_record(user_id, record)) if record else None
