"""The traces of jobs outside the broker: one file per job, with one line per event.

A line is one `write` to a descriptor that was opened with O_APPEND. So lines of two attempts never mix, and lines that
were written before a kill -9 are kept.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "CHAOS_TRACES"
#: The seconds by which the clock of a process is off (skewed/sitecustomize.py).
CLOCK_VARIABLE = "CLOCK_OFF_SECONDS"

Line = dict[str, Any]


def true_time() -> float:
    return time.time() - float(os.environ.get(CLOCK_VARIABLE, "0"))


class Trace:
    def __init__(self, job_id: str, folder: Path | None = None) -> None:
        folder = folder or Path(os.environ[FOLDER_VARIABLE])
        self.path = folder / job_id[:2] / job_id

    def lines(self) -> list[Line]:
        try:
            return [json.loads(line) for line in self.path.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def write(self, what: str, **facts: object) -> None:
        self.path.parent.mkdir(exist_ok=True)
        text = json.dumps({"what": what, "at": true_time(), **facts}) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def write_start(self, number: int, **facts: object) -> None:
        """Record this start, and the earlier starts of the same job that are still running. There must be none."""
        alive = [line["pid"] for line in _running(self.lines()) if born(line["pid"]) == line["born"]]
        me = os.getpid()
        self.write("started", number=number, pid=me, ppid=os.getppid(), born=born(me), alive=alive, **facts)


def _running(lines: list[Line]) -> Iterator[Line]:
    """Yield the starts whose function has not returned. After it has, the process may take some time to end."""
    start: Line | None = None
    for line in lines:
        if start is not None and line["what"] == "started":
            yield start
        if line["what"] in ("started", "returned"):
            start = line if line["what"] == "started" else None
    if start is not None:
        yield start


def all_traces(folder: Path) -> Iterator[tuple[str, list[Line]]]:
    for path in folder.glob("??/*"):
        yield path.name, Trace(path.name, folder).lines()


def born(pid: int) -> int | None:
    """Return the start time of a process in ticks since boot, which identifies it. None if it is dead."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(rest[18])
