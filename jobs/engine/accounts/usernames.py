"""The form of usernames."""

from __future__ import annotations

import re

#: Names with another meaning: the configured administrator, the caller in a path, and the end of a key that is not a
#: user's (`wh:files:expiry`).
RESERVED = frozenset({"admin", "me", "expiry"})

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


def fold(username: str) -> str:
    """Return a name in lower case. Only ASCII is folded: `K` (Kelvin) must not become `k`."""
    return username.lower() if username.isascii() else username


def is_username(name: str) -> bool:
    """Return True if a user may have this name."""
    return _USERNAME.fullmatch(name) is not None
