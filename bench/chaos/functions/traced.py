"""Tiny jobs that commit one effect under their job id and say when they start and stop."""

from __future__ import annotations

import time

from bench.chaos.witness import Witness
from jobs.engine import Retry, checkpoint, current_job, job, progress


@job(timeout=30)
def once(number: int, seconds: float = 0.0) -> int:
    """Take effect once."""
    witness = _start(number)
    time.sleep(seconds)
    _commit(witness)
    witness.tell("returned")
    return number


@job(timeout=30, retry=Retry(max=4, backoff="constant", delay=0.3))
def stubborn(number: int, fails: int) -> int:
    """Raise in its first attempts."""
    witness = _start(number)
    current = current_job()
    assert current is not None
    if current.attempt <= fails:
        witness.tell("returned")
        raise ConnectionError(f"attempt {current.attempt} was to fail")
    _commit(witness)
    witness.tell("returned")
    return number


@job(timeout=30, retry=Retry(max=1, backoff="constant", delay=0.2))
def hopeless(number: int) -> int:
    """Raise always."""
    _start(number).tell("returned")
    raise ValueError("this job always fails")


@job(timeout=600)
def stepping(number: int, steps: int, seconds: float = 0.05) -> int:
    """Commit one effect a step, and go on from the checkpoint."""
    witness = _start(number)
    for step in range(checkpoint.get("done", 0), steps):
        time.sleep(seconds)
        _commit(witness, step)
        checkpoint["done"] = step + 1
        witness.tell("kept", done=step + 1)
        progress(current=step + 1, total=steps)
    witness.tell("returned")
    return steps


def _start(number: int) -> Witness:
    current = current_job()
    assert current is not None
    witness = Witness(current.job_id)
    witness.tell_start(number, attempt=current.attempt, resumed=current.resumed, done=checkpoint.get("done", 0))
    return witness


def _commit(witness: Witness, step: int = 0) -> None:
    """Look, wait, write: exactly once if no two attempts of a job run at once, and only then."""
    if any(line["what"] == "effect" and line["step"] == step for line in witness.lines()):
        return
    time.sleep(0.002)
    witness.tell("effect", step=step)
