"""An app that can't start: one web worker logs the reason, and gunicorn stops.

gunicorn (27.0.1, arbiter.py) would log a trace, and a second one when another worker fails while it stops.
"""

from __future__ import annotations

import mmap
import os
import signal
from typing import Any

#: The exit code of gunicorn for a worker that can't boot.
EXIT_CODE = 3


class BootFailure:
    """One bit in memory that gunicorn's parent shares with its workers."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    @property
    def happened(self) -> bool:
        return self._shared[0] != 0

    def report(self, message: str, log: Any) -> None:
        """Log the reason, unless another worker has, and ask gunicorn's parent to stop. Called in a worker."""
        if not self.happened:
            self._shared[0] = 1
            log.error("%s", message)
        os.kill(os.getppid(), signal.SIGTERM)


boot_failure = BootFailure()
