"""The users of the credentials seen in the last few seconds: most requests need no look-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from cachetools import TLRUCache

from .user import User

#: A process may accept a credential for this long after another process has revoked it.
LIFETIME_SECONDS = 5.0
MAX_ENTRIES = 4_096


class CredentialCache:
    """Users by the digest of their credential. When it is full, the least recently used entry makes room."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic) -> None:
        #: Each user with the seconds that they may be kept.
        self._entries: TLRUCache[str, tuple[User, float], float] = TLRUCache(
            max_entries, lambda _digest, entry, now: now + entry[1], clock
        )
        self._lock = Lock()

    def get(self, digest: str) -> User | None:
        """Return the user of a credential, or None if it was last looked up more than five seconds ago."""
        with self._lock:
            entry = self._entries.get(digest)
        return entry[0] if entry else None

    def put(self, digest: str, user: User, *, seconds: float = LIFETIME_SECONDS) -> None:
        """Remember the user of a credential for `seconds`, at most five."""
        with self._lock:
            self._entries[digest] = user, min(seconds, LIFETIME_SECONDS)

    def drop(self, digest: str) -> None:
        """Forget a credential."""
        with self._lock:
            self._entries.pop(digest, None)

    def drop_user(self, user_id: str) -> None:
        """Forget every credential of a user."""
        with self._lock:
            for digest in [digest for digest, (user, _) in self._entries.items() if user.user_id == user_id]:
                self._entries.pop(digest, None)
