"""Sign-in: a password or a link opens a browser session."""

from __future__ import annotations

from dataclasses import replace

import redis

from jobs.engine.errors import Unauthenticated

from .api_keys import ApiKeys, record_key
from .credential_cache import CredentialCache
from .credentials import fingerprint
from .passwords import matches
from .rate import Meter, Rate
from .sessions import Grant, Sessions, session_key
from .user import User
from .usernames import fold
from .users import Users

#: The most failed sign-ins: enough for the mistakes of one person, and of all persons behind one address.
FAILURES_PER_NAME = Rate(10, 600)
FAILURES_PER_ADDRESS = Rate(60, 600)


class SignIn:
    """Checks passwords and links, and keeps browser sessions."""

    def __init__(self, connection: redis.Redis, cache: CredentialCache) -> None:
        self._users = Users(connection)
        self._keys = ApiKeys(connection)
        self._sessions = Sessions(connection)
        self._meter = Meter(connection)
        self._cache = cache

    def check_password(self, username: str, password: str, *, address: str | None = None) -> User:
        """Return the user of a name and password. An unknown name costs as much time as a wrong password.

        Raises:
            Unauthenticated: one of the two is wrong; the message does not say which.
            RateLimited: there were too many failures for this name, or from this address.
        """
        name = fold(username)
        # Charged first and refunded after a success, so that concurrent guesses count, too.
        meters = [(f"sign-in:name:{fingerprint(name)}", FAILURES_PER_NAME)]
        if address is not None:
            meters.insert(0, (f"sign-in:from:{address}", FAILURES_PER_ADDRESS))
        for meter in meters:
            self._meter.charge(*meter)
        user = self._matching(name, password)
        for meter in meters:
            self._meter.refund(*meter)
        return user

    def _matching(self, name: str, password: str) -> User:
        found = self._users.find_with_password(name)
        user, stored = found or (None, "")
        if not matches(stored, password) or user is None:
            raise Unauthenticated("The username or the password is wrong.")
        return user

    def issue_link(self, user_id: str) -> str:
        """Return the secret of a link that signs a user in once, within a day.

        Raises:
            UserNotFound: there is no such user.
        """
        user = self._users.find(user_id)
        return self._sessions.issue_link(Grant(user.user_id, user.generation))

    def redeem_link(self, secret: str) -> User:
        """Return the user of a link, and void the link.

        Raises:
            Unauthenticated: the link was used before, has expired or never existed.
        """
        grant = self._sessions.redeem_link(secret)
        if grant is None:
            raise Unauthenticated("This sign-in link was used before, or has expired.")
        return self._users.holder(grant.user_id, grant.generation)

    def open_session(self, user: User, *, key: str | None = None) -> str:
        """Open a browser session, and return its secret. A session that an API key opened ends with that key."""
        digest = fingerprint(key) if key is not None else None
        return self._sessions.open(Grant(user.user_id, user.generation, digest))

    def session_user(self, secret: str) -> User:
        """Return the user of an open session. Raises Unauthenticated if it has ended."""
        digest = _cached_under(secret)
        user = self._cache.get(digest)
        if user is None:
            user = self._look_up(secret)
            self._cache.put(digest, user)
        return user

    def _look_up(self, secret: str) -> User:
        grant = self._sessions.find(secret)
        if grant is None or (grant.key_digest and self._keys.find(grant.key_digest) is None):
            raise Unauthenticated("Your session has ended; sign in again.")
        proofs = session_key(secret), *([record_key(grant.key_digest)] if grant.key_digest else [])
        return replace(self._users.holder(grant.user_id, grant.generation), proofs=proofs)

    def close_session(self, secret: str) -> None:
        """End a session."""
        self._sessions.close(secret)
        self._cache.drop(_cached_under(secret))


def _cached_under(secret: str) -> str:
    return fingerprint(f"session {secret}")
