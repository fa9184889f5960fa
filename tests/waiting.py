"""Waiting for conditions instead of fixed times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Much longer than any condition needs, for busy machines.
PATIENCE_SECONDS = 60.0

#: What a busy machine may add to a promised time. It is less than the five seconds after which an idle worker asks for
#: jobs by itself.
ALLOWANCE_SECONDS = 3.0


def eventually(look: Callable[[], Any], what: str, timeout: float = PATIENCE_SECONDS) -> Any:
    """Wait until `look` returns something true, and return that. `what` is the condition, for the error message."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)
    return seen
