"""Extend gunicorn's gevent worker for slow clients and malformed requests."""

from __future__ import annotations

import errno
import io
import json
import socket
import sys
import time
import warnings
from email.utils import formatdate
from functools import cache, lru_cache
from typing import Any

import gevent
from gevent.monkey import MonkeyPatchWarning
from gunicorn import http, util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

from jobs.engine.errors import WorkhorseError
from jobs.engine.processes import use_huge_pages

from .boot_failure import boot_failure
from .request_head import QuickParser
from .security_headers import ON_EVERY_RESPONSE
from .shutdown import shutdown

#: The time for a body, extended for bodies that arrive at this rate. A large upload does, a slow attack does not.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 16_384
#: A client must accept sent data within this time, even if its window is closed (tcp(7), TCP_USER_TIMEOUT).
UNREAD_SECONDS = 25.0
#: The errors of sending to a client that does not read: after that time, or because live.py has cut the connection.
CUT = {errno.ETIMEDOUT, errno.EBADF}


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    def patch(self) -> None:
        with warnings.catch_warnings():
            # gunicorn's parent has imported ssl, for itself and with our settings: gevent then
            # patches it in place, which misses only the asyncio side of redis-py. We use none.
            warnings.simplefilter("ignore", MonkeyPatchWarning)
            super().patch()

    def init_process(self) -> None:
        # A request that gunicorn can't read never reaches the app, and gunicorn's own response (27.0.1,
        # workers/base.py) is HTML.
        util.write_error = write_problem
        wsgi.Response = OneSend
        http.RequestParser = QuickParser
        self._remember_what_never_changes()
        super().init_process()

    def _remember_what_never_changes(self) -> None:
        """Keep what gunicorn (27.0.1) works out anew for each request: a quarter of its CPU time."""
        # config.py finds a setting through two dictionaries and two Python calls, about 20 times in a request.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        # http/wsgi.py makes a stream for errors, with a look-up of the logger.
        wsgi.WSGIErrorsWrapper = cache(wsgi.WSGIErrorsWrapper)
        # http/wsgi.py formats the time, which has whole seconds.
        util.http_date = http_date

    def load_wsgi(self) -> None:
        try:
            super().load_wsgi()
        except WorkhorseError as error:
            boot_failure.report(error.message, self.log)
            sys.exit(0)  # the parent exits with the failure
        # A request touches many small objects all over the heap: about 4 % of its CPU time.
        use_huge_pages()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if client.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS * 1_000))
        super().handle(listener, client, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        if not _is_here(req.body):
            req.body = PacedBody(req.body)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except OSError as error:
            if error.errno not in CUT:
                raise
            # This is not our error, but gunicorn (27.0.1, workers/base_async.py) would log a trace of it.
            self.log.info("A client did not read; its connection was cut.")
            raise ConnectionResetError(errno.ECONNRESET, "The client does not read.") from error

    def handle_exit(self, sig: Any, frame: Any) -> None:
        shutdown.begin()
        super().handle_exit(sig, frame)


def _is_here(body: Any) -> bool:
    """Return True if the body arrived with the head or is empty, so that reading it does not wait."""
    reader = body.reader
    return isinstance(reader, LengthReader) and reader.length <= reader.unreader.buf.getbuffer().nbytes


class PacedBody(io.RawIOBase):
    """A request's body that must arrive at a minimum rate.

    A timeout of the socket is not enough: every byte that trickles in would restart it.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._started = time.monotonic()
        self._received = 0

    @property
    def failed(self) -> bool:
        """Return True if the connection can't be reused; gunicorn asks for it."""
        return bool(self._body.failed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        allowed = BODY_SECONDS + self._received / BODY_BYTES_PER_SECOND
        left = self._started + allowed - time.monotonic()
        try:
            with gevent.Timeout(max(left, 0.001), RequestTimeout()):
                data = self._body.read(len(buffer))
        except ParseException as error:
            raise OSError("The body's chunks are malformed.") from error
        self._received += len(data)
        buffer[: len(data)] = data
        return len(data)


class OneSend(wsgi.Response):  # type: ignore[misc]  # gunicorn ships no types
    """A response that sends its head and the first part of its body together: gunicorn (27.0.1) sends twice."""

    #: The response has all headers of ON_EVERY_RESPONSE, which are sent as one text then.
    _has_all = False

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        # gunicorn checks each character of each header. Most headers never change, and have no forbidden ones.
        others = [each for each in headers if each not in ON_EVERY_RESPONSE]
        self._has_all = len(headers) - len(others) == len(ON_EVERY_RESPONSE)
        super().process_headers(others)
        if not self._has_all:
            self.headers += [each for each in headers if each in ON_EVERY_RESPONSE]

    def default_headers(self) -> list[str]:
        lines: list[str] = super().default_headers()
        return [*lines, _UNCHANGED] if self._has_all else lines

    def write(self, part: bytes) -> None:
        if self.headers_sent:
            super().write(part)
            return
        client, gathered = self.sock, _Gathered()
        self.sock: Any = gathered
        try:
            super().write(part)
        finally:
            self.sock = client
        # gevent's `sendall` asks the kernel for the size of its buffer first.
        data = b"".join(gathered.parts)
        if (sent := client.send(data)) < len(data):
            client.sendall(data[sent:])


#: The lines of the headers that all responses have, except for those that set some of them themselves.
_UNCHANGED = "".join(f"{name}: {value}\r\n" for name, value in sorted(ON_EVERY_RESPONSE))


class _Gathered:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)


def http_date() -> str:
    """Return the current time for the Date header, formatted once a second."""
    return _http_date(int(time.time()))


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def write_problem(client: Any, status: int, reason: str, _message: str) -> None:
    """Write the problem document for a request that is not HTTP, or whose head is too large."""
    code = "malformed_request" if status == 400 else reason.lower().replace(" ", "_")
    title = code.replace("_", " ").capitalize()
    document = {
        "type": f"urn:workhorse:problem:{code}",
        "title": title,
        "status": status,
        "detail": f"{title}: the server could not read the request's head.",
        "instance": "/",
        "code": code,
    }
    body = json.dumps(document)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, (head + body).encode("latin-1"))
