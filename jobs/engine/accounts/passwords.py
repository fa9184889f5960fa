"""Passwords: hashed and compared with argon2id, at the same cost whether the user exists or not."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 8, 128

#: The first choice of OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

#: Hashes computed at the same time in a process: more would only compete for the same cores and memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Hash a new password."""
    return str(_aside(_HASHER.hash, _bytes(password)))


def matches(stored: str, password: str) -> bool:
    """Whether `password` is the one that `stored` was made of. An empty `stored` matches nothing, at the same cost."""
    nobodys = _nobodys_hash()  # made in either case: its making, once a process, must not tell the two apart
    found = bool(_aside(_verify, stored or nobodys, _bytes(password)))
    return found and bool(stored)


def _verify(stored: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return str(_aside(_HASHER.hash, b"nobody's password"))


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _aside(function: Callable[..., Any], *args: Any) -> Any:
    """Call `function` where it stalls nobody: it is pure CPU, and all clients of a gevent process share one thread."""
    with _AT_ONCE:
        if _under_gevent():
            from gevent import get_hub

            return get_hub().threadpool.apply(function, args)
        return function(*args)


def _under_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
