"""Check that the port of an instance is free."""

from __future__ import annotations

import socket
import time

from jobs.engine.errors import CannotStart

MAX_PORT = 65_535
TIMEOUT_SECONDS = 3.0
POLL_SECONDS = 0.1


def refuse_busy_port(port: int) -> None:
    """Raise CannotStart, naming the fix, if the port can't be used.

    It waits up to TIMEOUT_SECONDS: the processes of an instance that was killed take a moment to end.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (reason := _busy(port)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if reason:
        raise CannotStart(
            f"Port {port} can't be used: {reason}. Stop the process that uses it (perhaps another instance), "
            f"or choose another port: make run PORT={port + 1 if port < MAX_PORT else port - 1}"
        )


def _busy(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 # as gunicorn will; nothing is accepted
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return None
