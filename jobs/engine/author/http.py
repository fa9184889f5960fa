"""HTTP requests to addresses that users name: never to a private address, and never without limits."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx2

from jobs.engine.errors import AddressRefused, FetchFailed, ResponseTooLarge

from .guarded_transport import GuardedTransport

MAX_REDIRECTS = 5
USER_AGENT = "Workhorse/1.0"


@dataclass(frozen=True)
class Fetched:
    """A response with any status. `url` is the address after the last redirect."""

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
    """Make one request within `timeout_seconds` in total, and read at most `max_bytes` of the decoded body.

    Raises:
        AddressRefused: the address, or one of a redirect, is private or not a plain http(s) address.
        ResponseTooLarge: the body has more than `max_bytes`; the rest is not read.
        FetchFailed: the server can't be reached, is too slow, or redirects more than 5 times.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        with http_client(deadline=deadline, timeout=timeout_seconds) as client:
            request = client.build_request(method, url, content=content, headers=headers)
            return _follow(client, request, max_bytes, MAX_REDIRECTS if follow_redirects else 0)
    except httpx2.TimeoutException:
        raise FetchFailed(f"no complete response within {timeout_seconds:g} s") from None
    except httpx2.InvalidURL as error:
        raise AddressRefused(f"This is not a valid address: {error}") from None
    except httpx2.HTTPError as error:
        raise FetchFailed(str(error) or "the connection was closed") from error


def _follow(client: httpx2.Client, request: httpx2.Request, max_bytes: int, redirects: int) -> Fetched:
    # Redirects are followed here because httpx2 would read the whole body of each, however long.
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
            raise ResponseTooLarge(f"The response is larger than {max_bytes} bytes.")
    content_type = response.headers.get("content-type", "")
    return Fetched(str(response.url), response.status_code, content_type, bytes(body))


def http_client(
    *, deadline: float | None = None, timeout: float = 10.0, verify: ssl.SSLContext | bool = True, **options: Any
) -> httpx2.Client:
    """Return an `httpx2.Client` that connects to public addresses only, and ignores proxies in the environment.

    `deadline` (a time of `time.monotonic()`) ends every read and write; `timeout` limits each one in seconds.
    Redirects are followed only if asked for, and then at most 5. The client does not limit how much is read, as
    `fetch` does. Other options are those of `httpx2.Client`, except for those that would bypass the guard.
    """
    if bypassing := options.keys() & {"transport", "mounts", "proxy", "trust_env", "cert", "http2", "limits"}:
        raise TypeError(f"http_client() takes no {', '.join(sorted(bypassing))}: its transport is the guard")
    options["headers"] = httpx2.Headers({"user-agent": USER_AGENT}) | httpx2.Headers(options.get("headers"))
    options = {"max_redirects": MAX_REDIRECTS, "trust_env": False, "timeout": timeout} | options
    return httpx2.Client(transport=GuardedTransport(verify, deadline), **options)
