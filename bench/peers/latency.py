"""Measuring how long a submission takes to reach its function, in the same way for every contender."""

from __future__ import annotations

import os
import random
import struct
import tempfile
import time
from collections.abc import Callable

#: The seconds until a new worker is ready and idle.
SETTLING_SECONDS = 3.0
#: The number of submissions that are not counted, since they find cold caches.
WARM_UP = 3


def latencies(submit: Callable[[str], object], submissions: int) -> list[float]:
    """Return the seconds from each call of `submit` until the function has written to its named pipe.

    Submissions come one at a time, each after a random pause, so that workers are idle and their timers don't matter.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "stamps")  # noqa: PTH118 - as the functions do it
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR)  # also a writer, so that reading never finds the end
        time.sleep(SETTLING_SECONDS)
        found = [_one(submit, path, pipe) for _ in range(WARM_UP + submissions)]
        os.close(pipe)
    return found[WARM_UP:]


def _one(submit: Callable[[str], object], path: str, pipe: int) -> float:
    time.sleep(random.uniform(0.03, 0.09))
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    submit(path)
    (ran,) = struct.unpack("<q", os.read(pipe, 8))
    return float(ran - began) / 1e9
