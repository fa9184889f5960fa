"""The transport of our HTTP clients: it connects to public addresses only, and until a deadline.

A name is resolved once, all its addresses are checked, and the connection goes to a checked address. There is no
second look-up that could return another one (DNS rebinding). TLS still checks the name. The transport is below
redirects, so it checks each of them, too.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any, NoReturn

import httpcore2
import httpx2

from jobs.engine.errors import AddressRefused

from .public_addresses import check_url, is_allowed, refuse_private_addresses


class GuardedTransport(httpx2.HTTPTransport):
    """Checks the URL of each request, and connects through the guard.

    httpx2 2.16 takes no network backend, so its pool is replaced before its first use
    (httpx2/_transports/default.py). A test makes a real connection and would see the guard ignored.
    """

    def __init__(self, verify: ssl.SSLContext | bool, deadline: float | None) -> None:
        super().__init__(verify=verify)
        context = httpx2.create_ssl_context(verify=verify)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=_GuardedBackend(deadline))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        check_url(request.url)
        return super().handle_request(request)


class _GuardedBackend(httpcore2.SyncBackend):
    """Resolves a name once, checks its addresses, and connects to one of them."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        name = host.lower().rstrip(".")
        addresses = _resolve(name, port)
        if not is_allowed(name, port):
            refuse_private_addresses(name, addresses)
        failure: Exception = httpcore2.ConnectError(f"{host!r} has no address")
        for address in addresses:
            try:
                left = _remaining(self._deadline, timeout)
                stream = super().connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def connect_unix_socket(self, *_: Any, **__: Any) -> NoReturn:
        raise AddressRefused("Only http and https addresses can be fetched.")


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore2.ConnectError(f"the name {host!r} can't be resolved") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _remaining(deadline: float | None, timeout: float | None) -> float | None:
    """Return the seconds left for one operation. Raises ReadTimeout after the deadline."""
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the deadline has passed")
    return left if timeout is None else min(left, timeout)


class _TimedStream(httpcore2.NetworkStream):
    """A connection that ends at a deadline, even if the server keeps sending a byte a second."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float | None) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _remaining(self._deadline, timeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
