"""Tickets, which open one stream for a client that can't send a header.

A ticket is part of an address, and addresses end up in logs. So it can do little: it must be used within a minute,
opens one stream, and ends with that stream or with the credential that it was issued for.
"""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import Any

import redis

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors
from jobs.engine.errors import Unauthenticated, UserNotFound
from jobs.engine.settings import Settings

from .api_keys import ApiKeys
from .credentials import fingerprint, make_secret
from .tokens import Tokens
from .user import User
from .users import Users

#: The seconds for the first use of a ticket, and after each use for the next one.
FIRST_USE_SECONDS = 60
LATER_USE_SECONDS = 86_400

# Returns the record, or the reason of a refusal. Only the first of two concurrent uses of a new ticket succeeds.
_REDEEM = """
local ticket = redis.call('HMGET', KEYS[1], 'stream', 'job')
if not ticket[2] then return 'unknown' end
if ticket[2] ~= '' and ticket[2] ~= ARGV[2] then return 'other' end
if ticket[1] and ticket[1] ~= ARGV[1] then return 'other' end
if ticket[1] and ARGV[3] == '' then return 'used' end
redis.call('HSET', KEYS[1], 'stream', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return redis.call('HGETALL', KEYS[1])
"""

_REFUSALS = {
    b"unknown": "This ticket is not valid, or has expired.",
    b"other": "This ticket is for another stream.",
    b"used": "This ticket was already used; it can only resume its stream, with Last-Event-ID.",
}


class Tickets:
    """Issues and redeems tickets, each stored under the digest of its secret.

    Every method raises BrokerUnavailable if the broker can't be reached.
    """

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._connection: Any = connection
        self._settings = settings
        self._keys = ApiKeys(connection)
        self._users = Users(connection)
        self._redeem: Any = connection.register_script(_REDEEM)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self._settings.signing_key)

    @broker_errors()
    def issue(self, user: User, *, bearer: str | None, session: str | None, job_id: str | None) -> str:
        """Create a ticket for a user.

        Args:
            bearer: the API key or token that the user has sent; None if they have sent a session.
            session: the secret of their session.
            job_id: the job whose stream the ticket opens. None: any stream of the user.
        """
        secret = make_secret()
        record = {"user": user.user_id, "generation": user.generation, "job": job_id or ""}
        key = _key(secret)
        pipeline = self._connection.pipeline()
        pipeline.hset(key, mapping=record | self._credential(bearer, session))
        pipeline.expire(key, FIRST_USE_SECONDS)
        pipeline.execute()
        return secret

    def _credential(self, bearer: str | None, session: str | None) -> dict[str, str | float]:
        if bearer is None:
            return {"session": fingerprint(session or "")}
        digest = fingerprint(bearer)
        if self._keys.find(digest) is not None:
            return {"key": digest}
        return {"until": self._tokens.read(bearer).expires_at}

    @broker_errors()
    def redeem(self, secret: str, *, stream: str, job_id: str, resumes: bool) -> User:
        """Return the user of a ticket that opens or resumes a stream.

        Args:
            stream: the address of the stream.
            job_id: the job of the stream; empty for the stream of all of a user's jobs.
            resumes: the client resumes the stream, with Last-Event-ID.

        Raises:
            Unauthenticated: the ticket is not valid, is for another stream, or was already used.
        """
        args = [stream, job_id, "1" if resumes else "", LATER_USE_SECONDS]
        key = _key(secret)
        found = malformed.readable(key, lambda: self._redeem(keys=[key], args=args)) or b"unknown"
        if isinstance(found, bytes):
            raise Unauthenticated(_REFUSALS[found])
        flat = [malformed.text(part) for part in found]
        return self._bearer(key, dict(zip(flat[::2], flat[1::2], strict=True)))

    @broker_errors()
    def check(self, secret: str) -> User:
        """Return the user of a ticket whose stream is open. Raises Unauthenticated if the ticket has ended."""
        key = _key(secret)
        fields = malformed.readable(key, lambda: self._connection.hgetall(key))
        if not fields:
            raise Unauthenticated(_REFUSALS[b"unknown"])
        user = self._bearer(key, {malformed.text(name): malformed.text(value) for name, value in fields.items()})
        self._connection.expire(_key(secret), LATER_USE_SECONDS)
        return user

    @broker_errors()
    def close(self, secret: str) -> None:
        """End a ticket."""
        self._connection.delete(_key(secret))

    def _bearer(self, key: str, record: dict[str, str]) -> User:
        try:
            user = self._users.find(record.get("user", ""))
        except UserNotFound:
            raise Unauthenticated("The user of this ticket has been removed.") from None
        is_good = malformed.readable(key, lambda: self._is_good(record))
        if user.generation != record.get("generation") or not is_good:
            raise Unauthenticated("The credential that this ticket was issued for was revoked, or has expired.")
        return user

    def _is_good(self, record: dict[str, str]) -> bool:
        if "key" in record:
            return self._keys.find(record["key"]) is not None
        if "until" in record:
            return time.time() < float(record["until"])
        session = self._connection.get(f"wh:session:{record['session']}")
        if session is None:
            return False
        _user, _generation, key_digest = json.loads(session)
        return key_digest is None or self._keys.find(key_digest) is not None


def _key(secret: str) -> str:
    return f"wh:ticket:{fingerprint(secret)}"
