"""What a job leaves behind outside the broker: one file a job, one line for each thing that happened.

A line is one `write` on a descriptor opened with O_APPEND, so lines of two attempts never mix, and what was written
before a kill -9 stays.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "CHAOS_WITNESS"
#: Seconds by which a process's clock is off (skewed/sitecustomize.py).
CLOCK_VARIABLE = "CLOCK_OFF_SECONDS"

Line = dict[str, Any]


def true_time() -> float:
    return time.time() - float(os.environ.get(CLOCK_VARIABLE, "0"))


class Witness:
    def __init__(self, job_id: str, folder: Path | None = None) -> None:
        folder = folder or Path(os.environ[FOLDER_VARIABLE])
        self.path = folder / job_id[:2] / job_id

    def lines(self) -> list[Line]:
        try:
            return [json.loads(line) for line in self.path.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def tell(self, what: str, **facts: object) -> None:
        self.path.parent.mkdir(exist_ok=True)
        text = json.dumps({"what": what, "at": true_time(), **facts}) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def tell_start(self, number: int, **facts: object) -> None:
        """Record this start, and which earlier starts of the same job are still at work: there must be none."""
        alive = [line["pid"] for line in _at_work(self.lines()) if born(line["pid"]) == line["born"]]
        me = os.getpid()
        self.tell("started", number=number, pid=me, ppid=os.getppid(), born=born(me), alive=alive, **facts)


def _at_work(lines: list[Line]) -> Iterator[Line]:
    """The starts whose function has not returned. Once it has, a process may take its time to end."""
    start: Line | None = None
    for line in lines:
        if start is not None and line["what"] == "started":
            yield start
        if line["what"] in ("started", "returned"):
            start = line if line["what"] == "started" else None
    if start is not None:
        yield start


def all_witnesses(folder: Path) -> Iterator[tuple[str, list[Line]]]:
    for path in folder.glob("*/*"):
        yield path.name, Witness(path.name, folder).lines()


def born(pid: int) -> int | None:
    """When a process started, in ticks since the machine did: it tells two with the same id apart. None: dead."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(rest[18])
