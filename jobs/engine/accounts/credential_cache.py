"""What was found out about a credential in the last few seconds, so that most requests need no look-up."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

from .users import User

#: A revoked credential may be taken for good for this long, by a process that did not revoke it itself.
LIFETIME_SECONDS = 5.0
MAX_ENTRIES = 4_096


class CredentialCache:
    """Users by the digest of their credential; the oldest entries give way."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[float, User]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str) -> User | None:
        """The user, unless that is older than five seconds."""
        with self._lock:
            until, user = self._entries.get(digest, (0.0, None))
            return user if time.monotonic() < until else None

    def put(self, digest: str, user: User, *, seconds: float = LIFETIME_SECONDS) -> None:
        """Remember a user for up to five seconds."""
        with self._lock:
            self._entries.pop(digest, None)
            self._entries[digest] = (time.monotonic() + min(seconds, LIFETIME_SECONDS), user)
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)

    def drop(self, digest: str) -> None:
        """Forget a credential."""
        with self._lock:
            self._entries.pop(digest, None)

    def drop_user(self, user_id: str) -> None:
        """Forget every credential of a user."""
        with self._lock:
            for digest in [digest for digest, (_, user) in self._entries.items() if user.user_id == user_id]:
                del self._entries[digest]
