"""gunicorn's gevent worker, made ready for slow clients and for what is not HTTP."""

from __future__ import annotations

import errno
import io
import json
import socket
import sys
import time
import warnings
from typing import Any

import gevent
from gevent.monkey import MonkeyPatchWarning
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

from jobs.engine.errors import WorkhorseError

from .boot_failure import boot_failure
from .shutdown import shutdown

#: A body may take this long, and longer only if it comes at this pace: a large upload does, a slow attack does not.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 16_384
#: What was sent must be taken within this time, even by a client whose window is closed (tcp(7), TCP_USER_TIMEOUT).
UNREAD_SECONDS = 25.0
#: How sending ends to a client that does not read: by that time, or because live.py has cut its connection.
CUT = {errno.ETIMEDOUT, errno.EBADF}


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    def patch(self) -> None:
        with warnings.catch_warnings():
            # gunicorn's parent has imported ssl, for itself and with our settings: gevent then
            # patches it in place, which misses only the asyncio side of redis-py. We use none.
            warnings.simplefilter("ignore", MonkeyPatchWarning)
            super().patch()

    def init_process(self) -> None:
        # What gunicorn can't read never reaches the app: its own answer (27.0.1, workers/base.py) is HTML.
        util.write_error = write_problem
        wsgi.Response = OneSend
        super().init_process()

    def load_wsgi(self) -> None:
        try:
            super().load_wsgi()
        except WorkhorseError as error:
            boot_failure.report(error.message, self.log)
            sys.exit(0)  # the parent exits with the failure

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
            # No error of ours: gunicorn (27.0.1, workers/base_async.py) logs a trace of what is no usual end.
            self.log.info("A client did not read, and was cut.")
            raise ConnectionResetError(errno.ECONNRESET, "The client does not read.") from error

    def handle_exit(self, sig: Any, frame: Any) -> None:
        shutdown.begin()
        super().handle_exit(sig, frame)


def _is_here(body: Any) -> bool:
    """Whether all of a body came with the head, or there is none: reading it waits for nobody."""
    reader = body.reader
    return isinstance(reader, LengthReader) and reader.length <= reader.unreader.buf.getbuffer().nbytes


class PacedBody(io.RawIOBase):
    """A request's body that must come at some pace.

    A timeout of the socket would not do: each byte of a drip would start it anew.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._started = time.monotonic()
        self._received = 0

    @property
    def failed(self) -> bool:
        """gunicorn asks this before it reuses the connection."""
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
    """An answer whose head goes out together with the first part of its body: gunicorn (27.0.1) sends twice."""

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
        client.sendall(b"".join(gathered.parts))


class _Gathered:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)


def write_problem(client: Any, status: int, reason: str, _message: str) -> None:
    """Answer a request that is not HTTP, or too large in its head, as `webapp.problems` would."""
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
