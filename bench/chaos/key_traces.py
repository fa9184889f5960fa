"""The traces of keys: when the jobs under a limit began, and which of them ran at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from .traces import FOLDER_VARIABLE, Line, Trace, born, true_time

#: Beside the folders of the jobs' traces, whose names have two characters.
FOLDER = "keys"


class KeyTrace:
    def __init__(self, key: str, folder: Path | None = None) -> None:
        self._trace = Trace(key, folder or Path(os.environ[FOLDER_VARIABLE]))
        self._trace.path = self._trace.path.parent.parent / FOLDER / key
        self._execution = uuid4().hex

    def write_start(self) -> None:
        """Record the start, and then how many other executions of the key are running.

        Of two that begin at once, the one that looks later finds the other.
        """
        began, me = true_time(), os.getpid()
        self._trace.write("started", began=began, execution=self._execution, pid=me, born=born(me))
        others = [line for line in self._running() if line["execution"] != self._execution]
        self._trace.write("counted", execution=self._execution, running=1 + len(others))

    def write_end(self) -> None:
        self._trace.write("returned", execution=self._execution)

    def lines(self) -> list[Line]:
        return self._trace.lines()

    def _running(self) -> Iterator[Line]:
        lines = self.lines()
        returned = {line["execution"] for line in lines if line["what"] == "returned"}
        for line in lines:
            if line["what"] == "started" and line["execution"] not in returned and born(line["pid"]) == line["born"]:
                yield line


def all_key_traces(folder: Path) -> Iterator[tuple[str, list[Line]]]:
    for path in sorted((folder / FOLDER).glob("*")):
        yield path.name, KeyTrace(path.name, folder).lines()
