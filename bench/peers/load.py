"""The work of the functions, which is the same for every contender."""

from __future__ import annotations

import os
import struct
import time
from importlib import import_module

#: The megabytes of Python objects that a worker holds, like one that has loaded a model.
HEAP_VARIABLE = "BENCH_HEAP_MB"
#: The modules that a worker imports before its first job, separated by spaces.
MODULES_VARIABLE = "BENCH_MODULES"

_heap: list[object] = []


def fill_heap() -> None:
    """Fill this process with small objects, as many megabytes as the environment requests."""
    wanted = int(os.environ.get(HEAP_VARIABLE, "0")) * 1_000_000
    before = resident_bytes()
    while not _heap_is_full(before, wanted):
        _heap.extend({"number": number, "text": str(number)} for number in range(10_000))


def import_modules() -> None:
    """Import the modules that the environment names, as a worker with jobs that need them does."""
    for name in os.environ.get(MODULES_VARIABLE, "").split():
        import_module(name)


def _heap_is_full(before: int, wanted: int) -> bool:
    return wanted == 0 or resident_bytes() - before >= wanted


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - pathlib is slower
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stamp(path: str) -> None:
    """Write the monotonic time, which all processes of a machine share, to a named pipe."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    pipe = os.open(path, os.O_WRONLY)
    os.write(pipe, struct.pack("<q", now))
    os.close(pipe)
