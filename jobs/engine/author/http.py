"""HTTP requests to addresses that users name: never to a private one, never without bounds.

A name is resolved once, every address it has is judged, and the connection goes to a judged
address: no second look-up, so none that could answer differently (DNS rebinding). TLS still
checks the name. The guard sits below redirects, so each of them is judged as well.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import httpcore2
import httpx2
from pydantic import AfterValidator, Field

from jobs.engine.errors import AddressRefused, FetchFailed, ResponseTooLarge
from jobs.engine.settings import settings

MAX_REDIRECTS = 5
USER_AGENT = "Workhorse/1.0"

#: Public by the registries, or by some versions of `ipaddress`, yet not somebody's web server: protocol
#: assignments (and Oracle's metadata service), 6to4 relays, and Azure's metadata service.
_REFUSED_V4 = tuple(ipaddress.IPv4Network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))

#: IPv6 is refused but for global unicast, and within it these: Teredo and other protocol assignments,
#: documentation, 6to4. Mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and local ones lie outside 2000::/3.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(ipaddress.IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

#: Names that only mean something inside a network, refused before any look-up.
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


#: A name as it goes to the resolver (IDNA applied), or an address. No zone: `%eth0` means a link-local one.
_HOST = re.compile(r"[a-z0-9._:-]+")


@dataclass(frozen=True)
class Fetched:
    """An answer, whatever its status; `url` is where the last redirect led."""

    url: str
    status: int
    content_type: str
    body: bytes


def fetch(
    url: str,
    *,
    max_bytes: int,
    timeout_seconds: float,
    method: str = "GET",
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    follow_redirects: bool = True,
) -> Fetched:
    """Make one request within `timeout_seconds` in all, reading at most `max_bytes` of the decoded body.

    Raises:
        AddressRefused: for an address, also of a redirect, that is private or not plain http(s).
        ResponseTooLarge: as soon as more than `max_bytes` have been decoded.
        FetchFailed: if the server can't be reached, is too slow, or redirects more than 5 times.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        with http_client(deadline=deadline, timeout=timeout_seconds) as client:
            request = client.build_request(method, url, content=content, headers=headers)
            return _follow(client, request, max_bytes, MAX_REDIRECTS if follow_redirects else 0)
    except httpx2.TimeoutException:
        raise FetchFailed(f"no complete answer within {timeout_seconds:g} s") from None
    except httpx2.InvalidURL as error:
        raise AddressRefused(f"This is not a usable address: {error}") from None
    except httpx2.HTTPError as error:
        raise FetchFailed(str(error) or "the connection was cut") from error


def _follow(client: httpx2.Client, request: httpx2.Request, max_bytes: int, redirects: int) -> Fetched:
    # Redirects are followed here because httpx2 would read each one's body whole, however long.
    for _ in range(redirects + 1):
        with closing(client.send(request, stream=True, follow_redirects=False)) as response:
            if response.next_request is None or redirects == 0:
                return _read(response, max_bytes)
            request = response.next_request
    raise FetchFailed(f"it redirects more than {redirects} times")


def _read(response: httpx2.Response, max_bytes: int) -> Fetched:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise ResponseTooLarge(f"The answer is larger than {max_bytes} bytes.")
    content_type = response.headers.get("content-type", "")
    return Fetched(str(response.url), response.status_code, content_type, bytes(body))


def http_client(
    *, deadline: float | None = None, timeout: float = 10.0, verify: ssl.SSLContext | bool = True, **options: Any
) -> httpx2.Client:
    """Make an `httpx2.Client` that reaches public addresses only, and uses no proxy of the environment.

    `deadline` (of `time.monotonic()`) ends every read and write; `timeout` bounds each one alone. Redirects are not
    followed unless asked for, and then at most 5. It does not bound what is read: `fetch` does. Other options
    are those of `httpx2.Client`, but for the ones that would lead around the guard.
    """
    if around := options.keys() & {"transport", "mounts", "proxy", "trust_env", "cert", "http2", "limits"}:
        raise TypeError(f"http_client() takes no {', '.join(sorted(around))}: its transport is the guard")
    options["headers"] = httpx2.Headers({"user-agent": USER_AGENT}) | httpx2.Headers(options.get("headers"))
    options = {"max_redirects": MAX_REDIRECTS, "trust_env": False, "timeout": timeout} | options
    return httpx2.Client(transport=_GuardedTransport(verify, deadline), **options)


def refuse_private_url(url: str) -> None:
    """Refuse what can be seen to be wrong without a look-up: for checks at submit. The rest is seen at connect.

    Raises:
        AddressRefused: for another scheme than http(s), credentials, a private address or a local name.
    """
    try:
        parsed = httpx2.URL(url)
        host, port = _judge_url(parsed)
    except httpx2.InvalidURL as error:
        raise AddressRefused(f"This is not a usable address: {error}") from None
    if _is_allowed(host, port):
        return
    if host == "localhost" or host.endswith(_LOCAL_SUFFIXES):
        raise _refusal(host)
    try:
        # Numbers in any form that a connect would take, as 127.1 or 0x7f000001, and never a look-up.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    _judge_addresses(host, [str(entry[4][0]) for entry in found])


def _public_url(url: str) -> str:
    try:
        refuse_private_url(url)
    except AddressRefused as error:
        raise ValueError(error.message) from None
    return url


#: A parameter's type: an http(s) address that is not visibly private. What its name leads to is judged at connect.
PublicUrl = Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"}), AfterValidator(_public_url)]


def is_public(address: str) -> bool:
    """Whether a packet to this address leaves for the public internet, to one host, as plain IPv4 or IPv6."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in net for net in _REFUSED_V4)
    return ip in _GLOBAL_V6 and not any(ip in net for net in _REFUSED_V6)


def _judge_url(url: httpx2.URL) -> tuple[str, int]:
    if url.scheme not in ("http", "https"):
        raise AddressRefused("Only http and https addresses can be fetched.")
    if url.userinfo:
        raise AddressRefused("An address must not carry a username or password.")
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise AddressRefused("The address names no host that can be used.")
    if url.port is not None and not 0 < url.port < 65_536:
        raise AddressRefused("The address names a port that there is not.")
    return host, url.port or (443 if url.scheme == "https" else 80)


def _judge_addresses(host: str, addresses: Iterable[str]) -> None:
    # One bad address condemns the name: which of them a client tries is the name's owner's choice.
    if not all(is_public(address) for address in addresses):
        raise _refusal(host)


def _refusal(host: str) -> AddressRefused:
    # The address stays unsaid: it would tell a stranger how names resolve inside this network.
    return AddressRefused(f"{host!r} is not a public address. An operator can allow it in ALLOWED_PRIVATE_HOSTS.")


def _is_allowed(host: str, port: int) -> bool:
    allowed = {name.lower() for name in settings().allowed_private_hosts}
    bracketed = f"[{host}]" if ":" in host else host
    return not allowed.isdisjoint({host, bracketed, f"{bracketed}:{port}"})


class _GuardedTransport(httpx2.HTTPTransport):
    """Judges every request's URL, and connects through the guard.

    httpx2 2.16 takes no network backend, so its pool is replaced before first use
    (httpx2/_transports/default.py). A test connects for real and would see it ignored.
    """

    def __init__(self, verify: ssl.SSLContext | bool, deadline: float | None) -> None:
        super().__init__(verify=verify)
        context = httpx2.create_ssl_context(verify=verify)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=_GuardedBackend(deadline))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        _judge_url(request.url)
        return super().handle_request(request)


class _GuardedBackend(httpcore2.SyncBackend):
    """Looks a name up once, judges what it finds, and connects to just that."""

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
        addresses = _look_up(name, port)
        if not _is_allowed(name, port):
            _judge_addresses(name, addresses)
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


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore2.ConnectError(f"the name {host!r} can't be found") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _remaining(deadline: float | None, timeout: float | None) -> float | None:
    """What is left of a single operation's time; raises once the deadline has passed."""
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the deadline has passed")
    return left if timeout is None else min(left, timeout)


class _TimedStream(httpcore2.NetworkStream):
    """A connection that is cut at a deadline, so that a server sending a byte a second ends too."""

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
