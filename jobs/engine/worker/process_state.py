"""The state of a process that outlives a function call: what the kernel and the C library keep, and its output.

The variables of modules and the memory are not part of it. A look takes about 60 µs, on Linux only.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import locale
import logging
import os
import re
import resource
import signal
import stat
import sys
import time
from typing import Any

#: The parts of a state by their names, such as "the umask" or "descriptor 7 (socket)".
Facts = dict[str, Any]

#: Fields of /proc/self/status.
Status = dict[bytes, bytes]

_LIBC = ctypes.CDLL(None)

#: Fields of /proc/self/status, with the words for them.
_WORDS = {
    b"Uid": "the user",
    b"Gid": "the group",
    b"Groups": "the supplementary groups",
    b"SigBlk": "the blocked signals",
    b"CapEff": "the capabilities",
    b"NoNewPrivs": "the right to gain privileges",
    b"Seccomp": "the filter of system calls",
    b"Cpus_allowed_list": "the allowed CPUs",
}
_FIELD = re.compile(b"\n(SigCgt|SigIgn|VmRSS|VmSwap|Threads|%s):\t(.*)" % b"|".join(_WORDS))
#: RLIMIT_OFILE is another name of RLIMIT_NOFILE.
_LIMITS = {
    f"the limit {name}": getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}
_TIMERS = {f"the timer {name}": getattr(signal, name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")}
_SIGNALS = {number: f"the handler of {getattr(number, 'name', number)}" for number in signal.valid_signals()}
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
}
_ABSENT = object()


class ProcessState:
    """The state of this process when the object is made, with which a later state is compared."""

    def __init__(self, status: Status) -> None:
        self._environment = _Environment()
        self._before = self._look(status)

    def changes(self, status: Status) -> list[str]:
        """Return the parts that differ, as in "it changed the umask". No value is named: it may be a secret."""
        before, now = self._before, self._look(status)
        if before == now:
            return []
        names = [name for name in {**before, **now} if before.get(name, _ABSENT) != now.get(name, _ABSENT)]
        return [f"it {_verb(name in before, name in now)} {name}" for name in names]

    def _look(self, status: Status) -> Facts:
        facts: Facts = {word: status.get(field) for field, word in _WORDS.items()}
        facts |= self._environment.facts()
        facts |= {name: resource.getrlimit(limit) for name, limit in _LIMITS.items()}
        facts |= {name: True for name, timer in _TIMERS.items() if signal.getitimer(timer)[0]}
        return facts | _handlers(status) | _descriptors() | _output() | _single_facts()


def _verb(was: bool, is_now: bool) -> str:
    if was:
        return "changed" if is_now else "removed"
    return "left"


def read_status() -> Status:
    """Return what Linux reports about this process, as far as it is needed here."""
    descriptor = os.open("/proc/self/status", os.O_RDONLY)
    try:
        return dict(_FIELD.findall(os.read(descriptor, 16_384)))
    finally:
        os.close(descriptor)


def _single_facts() -> Facts:
    umask = os.umask(0o077)
    os.umask(umask)
    return {
        "the working directory": _directory(),
        "the umask": umask,
        "the process group": os.getpgrp(),
        "the session": os.getsid(0),
        "the nice value": os.getpriority(os.PRIO_PROCESS, 0),
        "the file descriptor for signals": signal.set_wakeup_fd(-1),
        "the recursion limit": sys.getrecursionlimit(),
        "the trace function": (sys.gettrace(), sys.getprofile()),
        "the garbage collector": (gc.isenabled(), gc.get_threshold()),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the time zone": (time.timezone, time.altzone, time.tzname),
    }


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path takes longer than the rest
    except FileNotFoundError:
        return "(removed)"


def _output() -> Facts:
    """Return the objects through which a horse prints and logs."""
    root = logging.getLogger()
    return {
        "sys.stdout": (sys.stdout, sys.stdout.closed),
        "sys.stderr": (sys.stderr, sys.stderr.closed),
        "the root logger": (root.level, root.disabled, *root.handlers, *root.filters),
        "a handler of the root logger": [(each.level, each.formatter, *each.filters) for each in root.handlers],
        "the level of logging.disable": root.manager.disable,
    }


def _handlers(status: Status) -> Facts:
    """Return the handlers of the signals that are caught or ignored, also of those that only C code knows."""
    mask = int(status.get(b"SigCgt", b"f" * 16), 16) | int(status.get(b"SigIgn", b"0"), 16)
    return {name: signal.getsignal(number) for number, name in _SIGNALS.items() if mask >> (number - 1) & 1}


def _descriptors() -> Facts:
    found: Facts = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
        try:
            facts, flags = os.fstat(int(name)), fcntl.fcntl(int(name), fcntl.F_GETFL)
        except OSError:
            continue  # it was the listing's own
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "kernel object")
        found[f"descriptor {name} ({kind})"] = (facts.st_dev, facts.st_ino, flags)
    return found


class _Environment:
    """The variables that programs started by this process inherit, as the C library has them.

    os.environ does not show what os.putenv and libraries change.
    """

    def __init__(self) -> None:
        self._array = ctypes.c_void_p.in_dll(_LIBC, "environ")
        self._pointers = b""
        self._facts: Facts = {}
        self._read()

    def facts(self) -> Facts:
        # A change replaces a pointer: the texts are only read if one has changed.
        address = self._array.value
        if address is None or ctypes.string_at(address, len(self._pointers)) != self._pointers:
            self._read()
        return self._facts

    def _read(self) -> None:
        self._facts, self._pointers, address = {}, b"", self._array.value
        if address is None:
            return
        texts = ctypes.cast(address, ctypes.POINTER(ctypes.c_char_p))
        count = 0
        while (text := texts[count]) is not None:
            name, _, value = text.partition(b"=")
            self._facts[f"the environment variable {os.fsdecode(name)}"] = value
            count += 1
        self._pointers = ctypes.string_at(address, (count + 1) * ctypes.sizeof(ctypes.c_void_p))
