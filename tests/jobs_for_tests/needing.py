"""Jobs that only some workers can run."""

from __future__ import annotations

import os
import time

from jobs.engine import Retry, RetryLater, checkpoint, job


@job(needs=("gpu",))
def on_gpu() -> str:
    """Return what this worker can do."""
    return os.environ.get("WORKER_CAN", "")


@job(needs=("gpu", "large"))
def on_large_gpu() -> str:
    """Return what this worker can do."""
    return os.environ.get("WORKER_CAN", "")


@job(needs=("gpu",))
def stay_on_gpu(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


@job(needs=("gpu",), retry=Retry(max=2, delay=0.2, jitter=False))
def come_back_to_gpu() -> list[str]:
    """Fail once, ask to run later once, and return what each worker could do."""
    seen = [*checkpoint.get("seen", []), os.environ.get("WORKER_CAN", "")]
    checkpoint["seen"] = seen
    if len(seen) == 1:
        raise OSError("not yet")
    if len(seen) == 2:
        raise RetryLater(0.2, "not yet either")
    return seen


@job(needs=("gpu",), max_running=1)
def one_at_a_time_on_gpu(seconds: float = 0.0) -> None:
    """Wait."""
    time.sleep(seconds)
