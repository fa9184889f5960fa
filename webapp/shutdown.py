"""Whether this web process was told to stop: long polls and streams end early then."""

from __future__ import annotations

import signal
from types import FrameType


class Shutdown:
    """A flag that a signal handler may set: a plain attribute, since a lock could be held by what it interrupts."""

    def __init__(self) -> None:
        self.begun = False

    def begin(self, _signal: signal.Signals | int | None = None, _frame: FrameType | None = None) -> None:
        self.begun = True


shutdown = Shutdown()
