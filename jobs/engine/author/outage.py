"""Wait out an outage: a job does not lose its work because the broker or the storage is away for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from jobs.engine.errors import TryAgainLater

#: How long a job waits for a broker or a storage that is away, and how long between two tries.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5

T = TypeVar("T")


def wait_out_outage(step: Callable[[], T]) -> T:
    """Run a step again until it succeeds.

    Raises:
        TryAgainLater: the broker or the storage is still away after 30 seconds.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return step()
        except TryAgainLater:
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_SECONDS)
