"""The output of a process, many lines at a time."""

from __future__ import annotations

import os
import time
from typing import IO

#: The time in which lines gather: too short for a reader to notice.
GATHER_SECONDS = 0.1
#: As much as a pipe holds. After a full chunk the next one is read at once, so that the process need not wait.
CHUNK_BYTES = 65_536


class GatheredLines:
    """Reads a pipe for honcho's Process, which asks for one line after another and is given all that are there.

    honcho passes what it reads to another process and to a thread there. One line at a time, that took 0.4 ms of CPU
    time for each, a tenth of what a small job takes, and each job prints one.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        #: The chunks of a line whose end has not come yet.
        self._begun: list[bytes] = []
        self._full = False

    def readline(self) -> bytes:
        """Wait for a line, and return all whole lines that are there. At the end, return the rest and then b""."""
        while data := self._read():
            whole, newline, rest = data.rpartition(b"\n")
            if newline:
                lines = b"".join([*self._begun, whole, newline])
                self._begun = [rest]
                return lines
            self._begun.append(rest)
        last = b"".join(self._begun)
        self._begun = []
        return last

    def close(self) -> None:
        self._pipe.close()

    def _read(self) -> bytes:
        if not self._full:
            time.sleep(GATHER_SECONDS)
        data = os.read(self._pipe.fileno(), CHUNK_BYTES)
        self._full = len(data) == CHUNK_BYTES
        return data
