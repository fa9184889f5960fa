"""The floor: the time that the operating system and the broker take before any of our code runs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

from .environments import ROOT
from .queue_workers import HEAP_MEGABYTES
from .row import Contender, Row
from .workbench import Workbench

FORKS = 200
ROUND_TRIPS = 2_000


def _floors(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    connection = bench.connection()
    script = connection.register_script("return 1")
    return {
        "fork, exit, wait": partial(_forked, bench, 0),
        f"the same with {HEAP_MEGABYTES} MB": partial(_forked, bench, HEAP_MEGABYTES),
        "PING": lambda: _microseconds(connection.ping),
        "EVALSHA of nothing": lambda: _microseconds(script),
    }


def _microseconds(call: object) -> float:
    assert callable(call)
    call()
    began = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        call()
    return (time.perf_counter() - began) / ROUND_TRIPS * 1e6


def _forked(bench: Workbench, heap_megabytes: int) -> float:
    """Measure forks in a process that has loaded the modules of a worker's zygote."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.floor"],
        cwd=ROOT,
        env=bench.environment(BENCH_HEAP_MB=str(heap_megabytes)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def fork_like_a_zygote() -> float:
    """Return the microseconds of a fork, exit and wait of this process, prepared like a zygote."""
    import worker  # noqa: F401 - it imports the modules of a worker
    from jobs.engine.catalogue.catalogue import Catalogue
    from jobs.engine.processes import use_huge_pages

    Catalogue.discover(("bench.functions",))
    gc.collect()
    use_huge_pages()
    gc.freeze()
    found = []
    for _ in range(FORKS):
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        found.append(time.perf_counter() - began)
    return 1e6 * median(found)


ROWS = (Row("floor", "the floor: processes and round trips", "µs", (), _floors),)

if __name__ == "__main__":
    print(fork_like_a_zygote())
