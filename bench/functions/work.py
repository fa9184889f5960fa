"""The jobs that the workers run while they are measured."""

from __future__ import annotations

import time

from bench.peers import load
from jobs.engine import job, progress, track

#: The attempts that one process serves, where processes are reused.
REUSE = 1_000

load.fill_heap()


@job
def noop() -> None:
    """Do nothing."""


@job(reuse=REUSE)
def reused_noop() -> None:
    """Do nothing, in a process that has done so before."""


@job
def greet(name: str, times: int = 1) -> str:
    """Return a greeting. The job has parameters to validate."""
    return f"Hello {name}! " * times


@job
def stamp(path: str) -> None:
    """Write the time of the function's first line."""
    load.stamp(path)


@job
def tracked_loop(turns: int) -> float:
    """Return the nanoseconds of one turn of an empty loop with track()."""
    began = time.perf_counter_ns()
    for _ in track(range(turns), "Counting"):
        pass
    return (time.perf_counter_ns() - began) / turns


@job
def many_reports(calls: int, path: str) -> list[float]:
    """Report progress as fast as possible. Return the begin and the end, in seconds since 1970.

    A time is written to the named pipe at `path` when it is over.
    """
    began = time.time()
    for number in range(calls):
        progress(current=number, total=calls)
    ended = time.time()
    load.stamp(path)
    return [began, ended]
