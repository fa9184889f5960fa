"""Jobs that need a module which a worker imports once."""

from __future__ import annotations

import os
import sys
import time

from jobs.engine import job

HEAVY = "tests.jobs_for_tests.modules.heavy"
SLOW = "tests.jobs_for_tests.modules.slow"


@job(preload=(HEAVY,))
def look_for_heavy_module(seconds: float = 0) -> tuple[bool, int]:
    """Return whether the preloaded module is loaded, and the zygote's process id."""
    time.sleep(seconds)
    return HEAVY in sys.modules, os.getppid()


@job
def look_for_heavy_module_in_vain() -> tuple[bool, int]:
    """Do the same without having preloaded it."""
    return HEAVY in sys.modules, os.getppid()


@job(timeout=5, preload=(SLOW,))
def use_slow_module() -> bool:
    """Return whether the preloaded module is loaded."""
    return SLOW in sys.modules
