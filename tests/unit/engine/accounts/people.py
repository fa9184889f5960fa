"""Users for tests, and what the broker stores of them."""

from __future__ import annotations

import fakeredis

from jobs.engine.accounts.accounts import Accounts

PASSWORD = "correct horse"


def register(accounts: Accounts, name: str = "alice") -> str:
    return accounts.register(name, f"{name}@example.com", PASSWORD).user_id


def everything(connection: fakeredis.FakeRedis) -> str:
    """All that is stored, as text."""
    parts = []
    for key in connection.keys("*"):
        kind = connection.type(key)
        readers = {b"hash": connection.hgetall, b"set": connection.smembers, b"string": connection.get}
        value = readers[bytes(kind)](key)  # type: ignore[arg-type]
        parts.append(f"{key!r} {value!r}")
    return "\n".join(parts)
