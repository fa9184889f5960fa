"""Small jobs that write their start, their effects and their end to a trace file."""

from __future__ import annotations

import time

from bench.chaos.key_traces import KeyTrace
from bench.chaos.traces import Trace
from bench.chaos.workload import MOST_RUNNING, MOST_STARTS
from jobs.engine import Limit, Retry, checkpoint, current_job, job, progress


@job(timeout=30)
def once(number: int, seconds: float = 0.0) -> int:
    """Take effect once."""
    trace = _start(number)
    time.sleep(seconds)
    _commit(trace)
    trace.write("returned")
    return number


@job(timeout=30, retry=Retry(max=4, backoff="constant", delay=0.3))
def stubborn(number: int, fails: int) -> int:
    """Fail in the first attempts."""
    trace = _start(number)
    current = current_job()
    assert current is not None
    if current.attempt <= fails:
        trace.write("returned")
        raise ConnectionError(f"attempt {current.attempt} fails as planned")
    _commit(trace)
    trace.write("returned")
    return number


@job(timeout=30, retry=Retry(max=1, backoff="constant", delay=0.2))
def hopeless(number: int) -> int:
    """Fail in every attempt."""
    _start(number).write("returned")
    raise ValueError("this job always fails")


@job(timeout=600)
def stepping(number: int, steps: int, seconds: float = 0.05) -> int:
    """Commit one effect per step, and continue from the checkpoint."""
    trace = _start(number)
    for step in range(checkpoint.get("done", 0), steps):
        time.sleep(seconds)
        _commit(trace, step)
        checkpoint["done"] = step + 1
        trace.write("kept", done=step + 1)
        progress(current=step + 1, total=steps)
    trace.write("returned")
    return steps


@job(timeout=30, reuse=50)
def once_reused(number: int, seconds: float = 0.0) -> int:
    """Take effect once, in a process that has served other jobs."""
    return once(number, seconds)


@job(timeout=600, reuse=50)
def stepping_reused(number: int, steps: int, seconds: float = 0.05) -> int:
    """Commit one effect per step, in a process that has served other jobs."""
    return stepping(number, steps, seconds)


@job(timeout=30, limits=[Limit(running=MOST_RUNNING, by="key")])
def keyed(number: int, key: int, seconds: float = 0.0) -> int:
    """Take effect once, and record each other job of the key that is running."""
    running = KeyTrace(f"keyed {key}")
    running.write_start()
    once(number, seconds)
    running.write_end()
    return number


@job(timeout=30, limits=[Limit(rate=f"{MOST_STARTS}/second", by="key")])
def rated(number: int, key: int) -> int:
    """Take effect once, and record when the function began."""
    KeyTrace(f"rated {key}").write_start()
    return once(number)


def _start(number: int) -> Trace:
    current = current_job()
    assert current is not None
    trace = Trace(current.job_id)
    trace.write_start(number, attempt=current.attempt, resumed=current.resumed, done=checkpoint.get("done", 0))
    return trace


def _commit(trace: Trace, step: int = 0) -> None:
    """Write an effect, unless it was written before.

    The pause between the check and the write makes two attempts that run at once write it twice.
    """
    if any(line["what"] == "effect" and line["step"] == step for line in trace.lines()):
        return
    time.sleep(0.002)
    trace.write("effect", step=step)
