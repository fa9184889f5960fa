"""The credentials that programs send with each request: API keys and signed tokens."""

from __future__ import annotations

import hmac
import time
from dataclasses import replace
from functools import cached_property

import redis

from jobs.engine.errors import Unauthenticated, UserNotFound
from jobs.engine.settings import Settings

from .api_keys import ApiKeys, record_key
from .credential_cache import CredentialCache
from .credentials import fingerprint, is_api_key
from .tokens import Tokens
from .user import User
from .users import Users

MAX_CREDENTIAL_LENGTH = 4_096


class Bearers:
    """Finds the users of API keys and tokens, and issues tokens."""

    def __init__(self, connection: redis.Redis, settings: Settings, cache: CredentialCache) -> None:
        self._settings = settings
        self._users = Users(connection)
        self._keys = ApiKeys(connection)
        self._cache = cache

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self._settings.signing_key)

    def authenticate(self, credential: str) -> User:
        """Return the user of an API key or a signed token.

        Raises:
            Unauthenticated: the credential is not valid, has expired or was revoked.
        """
        if len(credential) > MAX_CREDENTIAL_LENGTH:
            raise Unauthenticated("This credential is too long.")
        digest = fingerprint(credential)
        return self._cache.get(digest) or self._look_up(credential, digest)

    def _look_up(self, credential: str, digest: str) -> User:
        if self._may_be_key(credential):
            user, seconds = self.key_user(credential), float("inf")
        else:
            claims = self._tokens.read(credential)
            user = self._users.holder(claims.user_id, claims.generation)
            seconds = claims.expires_at - time.time()
        self._cache.put(digest, user, seconds=seconds)
        return user

    def key_user(self, key: str) -> User:
        """Return the user of an API key. Raises Unauthenticated if it is not valid, or was revoked."""
        try:
            found = self._keys.find(fingerprint(key)) if self._may_be_key(key) else None
            if found is not None:
                return replace(self._users.find(found.user_id), proofs=(record_key(fingerprint(key)),))
        except UserNotFound:
            pass  # removed between the two look-ups
        raise Unauthenticated("This API key is not valid, or was revoked.")

    def _may_be_key(self, text: str) -> bool:
        """Return True if `text` has the form of our keys, or is the configured one, which may have any form."""
        configured = self._settings.admin_api_key
        if configured is not None and hmac.compare_digest(fingerprint(configured), fingerprint(text)):
            return True
        return is_api_key(text)

    def issue_token(self, user: User) -> tuple[str, int]:
        """Sign a short-lived token for a user. Return it with its lifetime in seconds."""
        return self._tokens.issue(user.user_id, user.generation)
