"""Servers for tests, on loopback."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from socketserver import BaseServer
from typing import TypeVar

Server = TypeVar("Server", bound=BaseServer)

#: Below the ports that Linux gives to whoever asks for any port (net.ipv4.ip_local_port_range).
FIRST_PORT, PORTS_OF_A_PROCESS = 20_000, 1_000


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server in a thread, and close it at the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    """Return a port for a server that starts later. Until then no other test gets it, in any test process."""
    while True:
        port = next(_PORTS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue  # it is in use


def _ports() -> Iterator[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    begin = random.randrange(PORTS_OF_A_PROCESS)
    for place in count(begin):
        yield FIRST_PORT + number * PORTS_OF_A_PROCESS + place % PORTS_OF_A_PROCESS


_PORTS = _ports()
