"""What the workers do while they are measured: next to nothing, or one loop."""

from __future__ import annotations

import time

from bench.peers import load
from jobs.engine import job, progress, track

load.fill_heap()


@job
def noop() -> None:
    """Do nothing."""


@job
def greet(name: str, times: int = 1) -> str:
    """Greet somebody: a job with parameters to check."""
    return f"Hello {name}! " * times


@job
def stamp(path: str) -> None:
    """Say when the first line of the function ran."""
    load.stamp(path)


@job
def tracked_loop(turns: int) -> float:
    """Answer the nanoseconds of one turn of an empty loop under track()."""
    began = time.perf_counter_ns()
    for _ in track(range(turns), "Counting"):
        pass
    return (time.perf_counter_ns() - began) / turns


@job
def many_reports(calls: int, path: str) -> list[float]:
    """Report progress as fast as it goes. Answers when that began and ended, in seconds since 1970.

    The named pipe at `path` is told that it is over.
    """
    began = time.time()
    for number in range(calls):
        progress(current=number, total=calls)
    ended = time.time()
    load.stamp(path)
    return [began, ended]
