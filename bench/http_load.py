"""A closed loop of HTTP requests over a few keep-alive connections. Its cost is small and the same for all servers.

Requests are sent as prepared bytes, and responses are parsed only for their status and length. An ordinary client
library would use more of the machine than the measured servers.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: More than one, so that the server always has a request to process. Few, so that no request waits long.
CONNECTIONS = 8
PATIENCE_SECONDS = 10.0
#: These seconds are not counted: the first requests fill caches and open connections.
WARM_UP_SECONDS = 0.5


class BadAnswer(Exception):
    """The server did not respond as expected, so the measurement is invalid."""


@dataclass
class Outcome:
    requests: int
    seconds: float
    #: The seconds that each request took for the client.
    latencies: list[float] = field(repr=False)

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@dataclass
class _Connection:
    socket: socket.socket
    answer: bytearray = field(default_factory=bytearray)
    sent_at: float = 0.0


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def load(
    port: int, next_request: Callable[[], bytes], seconds: float, *, expected: int, connections: int = CONNECTIONS
) -> Outcome:
    """Send requests for `seconds`, after a warm-up, as fast as the server responds.

    Raises:
        BadAnswer: with the first response that does not have the `expected` status.
    """
    selector = selectors.DefaultSelector()
    outcome = Outcome(0, 0.0, [])
    began = time.perf_counter() + WARM_UP_SECONDS
    deadline = began + seconds
    try:
        for _ in range(connections):
            each = _Connection(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
            each.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(each.socket, selectors.EVENT_READ, each)
            _send(each, next_request())
        while time.perf_counter() < deadline:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise BadAnswer(f"no response for {PATIENCE_SECONDS:g} s")
            for key, _ in ready:
                if _read(key.data, expected):
                    if key.data.sent_at >= began:
                        outcome.latencies.append(time.perf_counter() - key.data.sent_at)
                    _send(key.data, next_request())
    finally:
        for registered in list(selector.get_map().values()):
            registered.data.socket.close()
        selector.close()
    outcome.seconds = time.perf_counter() - began
    outcome.requests = len(outcome.latencies)
    if not outcome.requests:
        raise BadAnswer(f"no response within {seconds:g} s")
    return outcome


def _send(connection: _Connection, message: bytes) -> None:
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(message)


def _read(connection: _Connection, expected: int) -> bool:
    """Read what has arrived. Return True once the response is complete."""
    data = connection.socket.recv(65_536)
    if not data:
        raise BadAnswer(f"the server closed the connection: {bytes(connection.answer[:300])!r}")
    connection.answer += data
    head_end = connection.answer.find(b"\r\n\r\n")
    if head_end < 0 or len(connection.answer) < head_end + 4 + _content_length(connection.answer, head_end):
        return False
    status = int(connection.answer[9:12])
    if status != expected:
        raise BadAnswer(f"expected {expected}: {connection.answer.decode('latin-1')[:600]}")
    connection.answer.clear()
    return True


def _content_length(answer: bytearray, head_end: int) -> int:
    head = bytes(answer[:head_end]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise BadAnswer(f"a response without Content-Length: {head!r}")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])
