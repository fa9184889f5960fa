"""Passwords, hashed and compared with argon2id. A comparison takes as long for a user who does not exist."""

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

#: The hashes that a process computes at the same time. More would only compete for cores and memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Return the hash of a new password."""
    return str(_in_thread(_HASHER.hash, _bytes(password)))


def matches(stored: str, password: str) -> bool:
    """Return True if `stored` is the hash of `password`. An empty `stored` matches nothing, and takes as long."""
    substitute = _substitute_hash()  # computed in both cases, so that its one computation reveals nothing
    found = bool(_in_thread(_verify, stored or substitute, _bytes(password)))
    return found and bool(stored)


def _verify(stored: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError, UnicodeError):
        return False


@cache
def _substitute_hash() -> str:
    return str(_in_thread(_HASHER.hash, b"nobody's password"))


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call `function`; under gevent in another thread, since it would block all clients, which share one thread."""
    with _AT_ONCE:
        if _under_gevent():
            from gevent import get_hub

            return get_hub().threadpool.apply(function, args)
        return function(*args)


def _under_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
