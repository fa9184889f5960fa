"""Remember that this web process is shutting down: long polls and streams then end early."""

from __future__ import annotations

import signal
from types import FrameType


class Shutdown:
    """A flag that a signal handler sets. It has no lock, which the interrupted code might hold."""

    def __init__(self) -> None:
        self.begun = False

    def begin(self, _signal: signal.Signals | int | None = None, _frame: FrameType | None = None) -> None:
        self.begun = True


shutdown = Shutdown()
