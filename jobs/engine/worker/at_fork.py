"""The hooks of threading and logging that run in every forked child, skipped where they have nothing to do.

They give a child new locks, because another thread may have held the old ones during the fork. A process with one
thread has no other, and there this costs each fork 150 page faults and a fifth of its time (CPython 3.11: 1.7 ms with
the hooks, 1.35 ms without). A registered hook can't be removed, so its code is replaced.

This is written for the hooks of CPython 3.11. On any other Python nothing is replaced, and each fork runs them.
"""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from types import CodeType, FunctionType

#: The implementation and the version whose hooks the replacements were written for (Lib/threading.py, _after_fork;
#: Lib/logging/__init__.py, _after_at_fork_child_reinit_locks).
WRITTEN_FOR = ("cpython", 3, 11)


@dataclass(frozen=True)
class _Hook:
    function: FunctionType
    own: CodeType
    replacement: CodeType


def _do_nothing() -> None:
    return None


def _release_lock() -> None:
    # logging takes its lock before a fork. This code runs in logging's own module, and releases it.
    _lock.release()  # type: ignore[name-defined]  # noqa: F821


def this_python() -> tuple[str, int, int]:
    return sys.implementation.name, sys.version_info.major, sys.version_info.minor


def _hooks(python: tuple[str, int, int]) -> tuple[_Hook, ...]:
    if python != WRITTEN_FOR:
        return ()
    hooks = (
        (threading._after_fork, _do_nothing),  # type: ignore[attr-defined]
        (logging._after_at_fork_child_reinit_locks, _release_lock),  # type: ignore[attr-defined]
    )
    return tuple(_Hook(hook, hook.__code__, replacement.__code__) for hook, replacement in hooks)


class ForkHooks:
    """The replaceable hooks of a Python; none for a Python that this was not written for."""

    def __init__(self, python: tuple[str, int, int]) -> None:
        self._hooks = _hooks(python)

    def skip(self) -> None:
        """Skip the hooks from now on.

        For a process with a single thread, whose forked children all call `restore`.
        """
        for hook in self._hooks:
            hook.function.__code__ = hook.replacement

    def restore(self) -> None:
        """Run the hooks again in forks from now on. Called in a forked child, which may start threads and fork."""
        for hook in self._hooks:
            hook.function.__code__ = hook.own
        if self._hooks:
            # The id of the operating system's thread is another one in the child.
            threading.main_thread()._set_native_id()  # type: ignore[attr-defined]


fork_hooks = ForkHooks(this_python())
