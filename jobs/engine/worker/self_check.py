"""The check of a reused work horse after an attempt: is this process as it was before its first one?"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from jobs.engine.processes import adopt_orphans, children

from .process_state import ProcessState, Status, read_status
from .verdict import Verdict

#: Bytes by which a process may have grown since the end of its first attempt.
MAX_GROWTH_BYTES = 64 << 20
#: The share of MAX_JOB_MEMORY_BYTES that the attempts of a process may leave in use together.
MAX_CARRIED_SHARE = 0.5
#: Seconds in which a thread that Python has joined must have ended.
THREAD_SECONDS = 0.2

_LIBC = ctypes.CDLL(None)


class SelfCheck:
    """Made before the first attempt of a process."""

    def __init__(self, max_job_memory_bytes: int) -> None:
        # A child whose own parent has ended becomes a child of this process, which finds it then.
        adopt_orphans()
        self._max_carried_bytes = max_job_memory_bytes * MAX_CARRIED_SHARE or float("inf")
        status = read_status()
        self._state = ProcessState(status)
        self._fresh_bytes = _memory_bytes(status)
        self._settled_bytes: int | None = None

    def verdict(self) -> Verdict:
        """Free what the attempt no longer needs, and return the verdict."""
        try:
            # An object must not be finalized during a later attempt, whose log would get what it prints.
            gc.collect()
            # What is left is the state of modules. The next collection skips it.
            gc.freeze()
            status = _status_without_ending_threads()
            reasons = [*_children(), *_threads(status), *self._state.changes(status)]
            return Verdict("; ".join(reasons)) if reasons else self._verdict_on_memory(_memory_bytes(status))
        except Exception as error:  # noqa: BLE001 - a function may have replaced anything that is used here
            return Verdict(f"its check failed with {type(error).__name__}")

    def _verdict_on_memory(self, used: int) -> Verdict:
        if self._reason_to_retire(used):
            # The C library keeps freed memory for later.
            _LIBC.malloc_trim(0)
            used = _memory_bytes(read_status())
        self._settled_bytes = used if self._settled_bytes is None else self._settled_bytes
        return Verdict(self._reason_to_retire(used), max(0, used - self._fresh_bytes))

    def _reason_to_retire(self, used: int) -> str:
        if used - self._fresh_bytes > self._max_carried_bytes:
            return "its attempts left more than half of MAX_JOB_MEMORY_BYTES in use"
        if self._settled_bytes is not None and used - self._settled_bytes > MAX_GROWTH_BYTES:
            return f"it grew by more than {MAX_GROWTH_BYTES >> 20} MiB since its first attempt"
        return ""


def _status_without_ending_threads() -> Status:
    """Return the status of this process. Python has joined a thread a moment before the kernel ends it."""
    deadline = time.monotonic() + THREAD_SECONDS
    while (status := read_status())[b"Threads"] != b"1" and threading.active_count() == 1:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    return status


def _children() -> Iterator[str]:
    """Yield a sentence if there is a child process. A dead one that was not waited for counts."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        yield f"it left a child process ({', '.join(map(str, sorted(children())))})"
    except ChildProcessError:
        pass  # there is none


def _threads(status: Status) -> Iterator[str]:
    """Yield a sentence if there is a thread besides this one."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        yield f"it left a thread ({', '.join(others)})"
    elif status[b"Threads"] != b"1":
        yield "it left a thread that a library started"


def _memory_bytes(status: Status) -> int:
    return sum(int(status[name].split()[0]) << 10 for name in (b"VmRSS", b"VmSwap") if name in status)


def flush_other_output() -> None:
    """Write out what was printed with C, and to the streams that Python has opened at its start.

    Both would keep it until their buffer is full, and it would get into the log of a later attempt.
    """
    _LIBC.fflush(None)
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
