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
def many_reports(calls: int) -> list[float]:
    """Report progress as fast as it goes. Answers when that began and ended, in seconds since 1970."""
    began = time.time()
    for number in range(calls):
        progress(current=number, total=calls)
    return [began, time.time()]
