"""The job whose process serves very many attempts, for `python -m bench.reuse_soak`."""

from __future__ import annotations

import logging
import os
import tempfile

from jobs.engine import checkpoint, job, log, progress


@job(reuse=10_000)
def soak(number: int) -> int:
    """Use a little of everything, and leave nothing. Return the process id."""
    print(f"attempt {number}")
    log("a line")
    logging.getLogger("soak").info("a record")
    progress(50, "half of it")
    checkpoint["number"] = number
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000)
    cycle: list[object] = [bytearray(100_000)]
    cycle.append(cycle)
    return os.getpid()
