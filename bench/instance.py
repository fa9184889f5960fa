"""The default installation: the processes that `make run` starts, around the broker of the benchmark or their own."""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .workbench import Started, Workbench, free_port, until

#: What it prints when it takes requests.
READY = "Workhorse is ready"
LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Instance:
    started: Started
    port: int
    #: The time from its start until it is ready.
    seconds_to_start: float


@contextmanager
def instance(bench: Workbench, environment: dict[str, str]) -> Iterator[Instance]:
    """Run what `make run` runs, after it has checked the installation. It is ready when the context begins."""
    port = free_port()
    began = time.perf_counter()
    with bench.running([sys.executable, "-m", "jobs.engine.local"], environment | {"PORT": str(port)}) as started:
        until(lambda: _is_ready(started), "an instance to be ready", pause=LOOK_SECONDS)
        yield Instance(started, port, time.perf_counter() - began)


def _is_ready(started: Started) -> bool:
    started.must_run()
    return READY in started.output()


def own_environment(bench: Workbench, **more: str) -> dict[str, str]:
    """Return the environment of an instance with a broker and a folder of its own, and an administrator's key."""
    folder = tempfile.mkdtemp(dir=bench.folder)
    own = {"DATA_DIR": folder, "ADMIN_API_KEY": uuid.uuid4().hex}
    shared = {name: value for name, value in bench.environment().items() if name != "REDIS_URL"}
    return shared | own | more
