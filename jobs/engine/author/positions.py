"""The positions of an attempt's resumable loops, in memory that the horse writes and its worker reads.

A finished item is counted by one write to a shared page, without a call or a message. So the count is exact however
the horse ends. The worker saves it a few times a second and at the end; only the worker must survive.

Loops are numbered in the order of the calls. A loop that is called for one item of another loop belongs to that item:
when the item is finished, the loops inside are forgotten, and their numbers are free again. So nested loops and loops
in a row both find their position in a later execution.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path

#: Loops that one attempt can resume. Any further loop starts at the beginning.
MAX_LOOPS = 512
_BYTES = MAX_LOOPS * 8


class Positions:
    """The horse's end."""

    def __init__(self, saved: list[int]) -> None:
        descriptor, self.path = tempfile.mkstemp(prefix="workhorse-positions-")
        os.truncate(descriptor, _BYTES)
        self._memory = mmap.mmap(descriptor, _BYTES)
        os.close(descriptor)
        self._counts = (ctypes.c_uint64 * MAX_LOOPS).from_buffer(self._memory)
        for number, count in enumerate(saved[:MAX_LOOPS]):
            self._counts[number] = count
        #: The number of the next loop.
        self.following = 0

    def begin_loop(self) -> tuple[int, ctypes.c_uint64]:
        """Begin a loop. Return its number, and the cell that counts its finished items."""
        number = min(self.following, MAX_LOOPS - 1)
        self.following = number + 1
        cell = ctypes.c_uint64.from_buffer(self._memory, number * 8)
        if number == MAX_LOOPS - 1:
            cell.value = 0
        return number, cell

    def forget_inside(self, number: int) -> None:
        """Forget the loops that were called for the current item of loop `number`. Call this before it is counted."""
        for inside in range(number + 1, self.following):
            self._counts[inside] = 0
        self.following = number + 1


class Reader:
    """The worker's end."""

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)
        with suppress(FileNotFoundError):
            Path(path).unlink()

    def read(self) -> list[int]:
        counts = list(memoryview(self._memory).cast("Q"))
        while counts and not counts[-1]:
            counts.pop()
        return counts

    def close(self) -> None:
        self._memory.close()
