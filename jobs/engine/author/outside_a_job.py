"""Direct calls of jobs' functions, in a test, a shell or another program: each has a checkpoint of its own."""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType
from typing import Any

#: The code of each job's function. A direct call is found by it.
JOB_CODE: set[CodeType] = set()


class DirectCalls(threading.local):
    """The values of `checkpoint` outside a job.

    A direct call of a job's function begins with the values at that moment. What it assigns is discarded with the call:
    called again, it does its work again.
    """

    def __init__(self) -> None:
        self._outside: dict[str, Any] = {}
        #: Kept, so that the frame of a later call can't have the same address.
        self._call: FrameType | None = None
        self._of_call: dict[str, Any] = {}

    @property
    def values(self) -> dict[str, Any]:
        return self._of_call if self._within_a_call() else self._outside

    @values.setter
    def values(self, values: dict[str, Any]) -> None:
        if self._within_a_call():
            self._of_call = values
        else:
            self._outside = values

    def _within_a_call(self) -> bool:
        call: FrameType | None = None
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            call = frame if frame.f_code in JOB_CODE else call
            frame = frame.f_back
        if call is not self._call:
            self._call, self._of_call = call, dict(self._outside)
        return call is not None


direct = DirectCalls()
