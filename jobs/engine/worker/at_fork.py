"""What threading and logging do in every forked child, left out where there is nothing for them to do.

They give a child new locks, because another thread may have held the old ones during the fork. A process with one
thread has no other, and there this costs each fork 150 page faults and a fifth of its time (CPython 3.11: 1.7 ms with
it, 1.35 ms without). A hook can't be taken back once it is registered, so what it does is exchanged.
"""

from __future__ import annotations

import logging
import threading
from types import CodeType, FunctionType


def _nothing() -> None:
    return None


def _let_go() -> None:
    # logging takes its lock before a fork; run in the module of the hook, this gives it back.
    _lock.release()  # type: ignore[name-defined]  # noqa: F821


#: Where a Python has no such hook there is nothing to leave out.
_HOOKS: list[tuple[FunctionType, CodeType, CodeType]] = [
    (hook, hook.__code__, instead.__code__)
    for hook, instead in (
        (getattr(threading, "_after_fork", None), _nothing),
        (getattr(logging, "_after_at_fork_child_reinit_locks", None), _let_go),
    )
    if hook is not None and hasattr(logging, "_lock")
]


def leave_out_hooks() -> None:
    """Begin to leave them out. For a process that has one thread, and forks nothing but what calls `put_back_hooks`."""
    for hook, _own, instead in _HOOKS:
        hook.__code__ = instead


def put_back_hooks() -> None:
    """In the forked child: from here on it may have threads, and fork."""
    for hook, own, _instead in _HOOKS:
        hook.__code__ = own
    # The one thing that `threading` has to do for a child of one thread.
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
