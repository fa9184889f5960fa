"""Wait for something to come true, and never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Much longer than anything takes, for machines that have other things to do.
PATIENCE_SECONDS = 60.0


def eventually(look: Callable[[], Any], what: str, timeout: float = PATIENCE_SECONDS) -> Any:
    """Wait until `look` finds something, and return it. `what` should have come true is said if it does not."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)
    return seen
