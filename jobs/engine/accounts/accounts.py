"""Who may call: users, what they prove themselves with, and how often they may."""

from __future__ import annotations

import hmac
import time
from dataclasses import replace
from functools import cached_property
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.sources import library
from jobs.engine.errors import Unauthenticated, UserExists, UserNotFound
from jobs.engine.settings import Settings

from .admission import Admission, refuse
from .api_keys import CONFIGURED, ApiKey, ApiKeys, record_key
from .credential_cache import CredentialCache
from .credentials import fingerprint, is_api_key, make_api_key
from .passwords import hash_password, matches
from .rate import Meter, Rate
from .registration import RESERVED, Registration, check_password, fold
from .sessions import SESSION_LIFETIME_SECONDS, Grant, Sessions, session_key
from .tickets import Tickets
from .tokens import Tokens
from .users import USER_ROLE, User, Users

__all__ = ["SESSION_LIFETIME_SECONDS", "Accounts", "ApiKey", "User"]

ADMIN, ADMIN_EMAIL = "admin", "admin@localhost"

#: Failed sign-ins: what a person mistypes, and what many persons behind one address mistype.
FAILURES_PER_NAME = Rate(10, 600)
FAILURES_PER_ADDRESS = Rate(60, 600)
#: Strangers who register: each costs an argon2 hash.
STRANGERS_PER_ADDRESS = Rate(100, 600)

MAX_CREDENTIAL_LENGTH = 4_096


class Accounts:
    """Users and their credentials, in the broker.

    Every method raises BrokerUnavailable if the broker can't be reached.
    """

    def __init__(self, connection: redis.Redis, settings: Settings, *, cache: CredentialCache | None = None) -> None:
        self._settings = settings
        self._users = Users(connection)
        self._keys = ApiKeys(connection)
        self._sessions = Sessions(connection)
        self._meter = Meter(connection)
        self._rate = Rate(*settings.rate)
        self._admit: Any = connection.register_script(library("charge", "admit") + "return admit(ARGV[1])")
        self._cache = cache or CredentialCache()
        #: For streams, whose clients can't send a header.
        self.tickets = Tickets(connection, settings)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self._settings.signing_key)

    # --- users ----------------------------------------------------------------

    def ensure_admin(self) -> str:
        """Make the user `admin` unless it is there, and return its API key.

        The key is ADMIN_API_KEY, or one that was made once and is kept in DATA_DIR/admin_api_key.
        An earlier one stops working. Any number of processes may call this at once.
        """
        key = self._settings.admin_api_key or self._settings.kept_secret("admin_api_key", make_api_key)
        self._users.ensure_admin(ADMIN, ADMIN_EMAIL, CONFIGURED, fingerprint(key))
        self._cache.drop_user(ADMIN)
        return key

    def register(self, username: str, email: str, password: str, roles: tuple[str, ...] = (USER_ROLE,)) -> User:
        """Make a user.

        Raises:
            InvalidRequest: naming all that is wrong with the three.
            UserExists: if the name or the address is taken; nothing is stored then.
        """
        new = Registration.check(username, email, password)
        if new.username in RESERVED:
            raise UserExists
        return self._users.add(new.username, new.email, hash_password(new.password), roles)

    def find(self, user_id: str) -> User:
        """Raises UserNotFound if there is none."""
        return self._users.find(user_id)

    def all(self) -> list[User]:
        """All users, by name: for operators."""
        return self._users.all()

    def set_password(self, user_id: str, password: str) -> User:
        """Give a user another password. Tokens and sessions end with the old one, API keys stay good.

        Raises:
            UserNotFound: if there is none.
            InvalidRequest: if it is too short or too long.
        """
        self._users.find(user_id)
        check_password(password)
        self._users.set_password(user_id, hash_password(password))
        self._cache.drop_user(user_id)
        return self._users.find(user_id)

    def close(self, user_id: str) -> None:
        """End all that a user can do, before their jobs are removed; the name stays taken until `delete`.

        Raises:
            UserNotFound: if there is none.
            Conflict: if this is the only administrator.
        """
        self._users.close(user_id)
        self._cache.drop_user(user_id)

    def delete(self, user_id: str) -> None:
        """Remove a user with all credentials. Raises as `close` does; jobs are the client's to delete."""
        self.close(user_id)
        self._users.remove(user_id)

    # --- credentials ------------------------------------------------------------

    def check_password(self, username: str, password: str, *, address: str | None = None) -> User:
        """The user of that name and password. An unknown name costs as much as a wrong password.

        Raises:
            Unauthenticated: without telling which of the two is wrong.
            RateLimited: after too many failures for this name, or from this address.
        """
        name = fold(username)
        # Charged before, and refunded after a success: so guesses made at the same time count, too.
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

    def create_key(self, user_id: str, name: str) -> tuple[ApiKey, str]:
        """Make an API key, and return what is known of it with the key itself, this once.

        Raises:
            UserNotFound: if there is no such user.
            Conflict: if the user has too many keys.
        """
        return self._keys.create(user_id, name)

    def keys(self, user_id: str) -> list[ApiKey]:
        """A user's API keys, oldest first."""
        return self._keys.of_user(user_id)

    def revoke(self, user_id: str, key_id: str) -> None:
        """Remove an API key. It is dead at once in this process, and within 5 s in others.

        Raises:
            ApiKeyNotFound: if the user has no such key.
            Conflict: if it is the configured one.
        """
        digest = self._keys.revoke(user_id, key_id)
        self._cache.drop(digest)

    def authenticate(self, token: str) -> User:
        """The user whom an API key or a signed token belongs to.

        Raises:
            Unauthenticated: if it is neither, or no longer good.
        """
        if len(token) > MAX_CREDENTIAL_LENGTH:
            raise Unauthenticated("This credential is too long.")
        digest = fingerprint(token)
        return self._cache.get(digest) or self._look_up(token, digest)

    def _look_up(self, token: str, digest: str) -> User:
        if self._may_be_key(token):
            user, seconds = self.key_user(token), float("inf")
        else:
            claims = self._tokens.read(token)
            user, seconds = self._holder(Grant(claims.user_id, claims.generation)), claims.expires_at - time.time()
        self._cache.put(digest, user, seconds=seconds)
        return user

    def key_user(self, key: str) -> User:
        """The user whom an API key belongs to. Raises Unauthenticated if it is none, or was revoked."""
        try:
            found = self._keys.find(fingerprint(key)) if self._may_be_key(key) else None
            if found is not None:
                return replace(self._users.find(found.user_id), proofs=(record_key(fingerprint(key)),))
        except UserNotFound:
            pass  # removed between the two look-ups
        raise Unauthenticated("This API key is not valid, or was revoked.")

    def _may_be_key(self, text: str) -> bool:
        """Whether it is worth a look-up: it has the form of our keys, or is the configured one, which has any."""
        configured = self._settings.admin_api_key
        if configured is not None and hmac.compare_digest(fingerprint(configured), fingerprint(text)):
            return True
        return is_api_key(text)

    def _holder(self, grant: Grant) -> User:
        try:
            user = self._users.find(grant.user_id)
            if hmac.compare_digest(user.generation, grant.generation):
                return user
        except UserNotFound:
            pass  # the same to the bearer as a later user of that name
        raise Unauthenticated("The user of this credential has been removed.")

    def issue_token(self, user: User) -> tuple[str, int]:
        """Sign a short-lived token for a user, and tell the seconds that it lives."""
        return self._tokens.issue(user.user_id, user.generation)

    # --- browsers -----------------------------------------------------------------

    def issue_sign_in(self, user_id: str) -> str:
        """Make the secret of a link that signs a user in once, within a day. Raises UserNotFound if there is none."""
        user = self._users.find(user_id)
        return self._sessions.issue_link(Grant(user.user_id, user.generation))

    def redeem_sign_in(self, token: str) -> User:
        """The user whom a link was issued to, the first time that it is followed.

        Raises:
            Unauthenticated: if it was followed before, has expired or never was.
        """
        grant = self._sessions.redeem_link(token)
        if grant is None:
            raise Unauthenticated("This sign-in link was used before, or has expired.")
        return self._holder(grant)

    def open_session(self, user: User, *, key: str | None = None) -> str:
        """Open a browser session, and return its secret. One that was opened with an API key ends with that key."""
        digest = fingerprint(key) if key is not None else None
        return self._sessions.open(Grant(user.user_id, user.generation, digest))

    def session_user(self, secret: str) -> User:
        """The user of an open session. Raises Unauthenticated if it has ended."""
        digest = fingerprint(f"session {secret}")
        user = self._cache.get(digest)
        if user is None:
            grant = self._sessions.find(secret)
            if grant is None or (grant.key_digest and self._keys.find(grant.key_digest) is None):
                raise Unauthenticated("Your session has ended; sign in again.")
            proofs = session_key(secret), *([record_key(grant.key_digest)] if grant.key_digest else [])
            user = replace(self._holder(grant), proofs=proofs)
            self._cache.put(digest, user)
        return user

    def close_session(self, secret: str) -> None:
        """End a session."""
        self._sessions.close(secret)
        self._cache.drop(fingerprint(f"session {secret}"))

    # --- how often ------------------------------------------------------------------

    def admission(self, user: User) -> Admission:
        """What lets a request of this user in, and counts it, in the script that serves it."""
        return Admission(user, self._rate)

    @broker_errors()
    def admit(self, user: User) -> None:
        """Let a request of a user in and count it, on the broker's clock.

        Raises:
            RateLimited: if that is more than RATE_LIMIT allows.
            Unauthenticated: if the user was removed, or what they proved themselves with was revoked.
        """
        refuse(self._admit(args=[self.admission(user).as_json()]))

    def admit_stranger(self, address: str) -> None:
        """Count a registration by somebody who is not signed in. Raises RateLimited if there are too many."""
        self._meter.charge(f"stranger:{address}", STRANGERS_PER_ADDRESS)
