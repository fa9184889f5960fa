"""The web server: slow and malformed bodies, and requests that are not HTTP."""

from __future__ import annotations

import errno
import io
import json
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from flask import Flask
from gunicorn.config import Config
from gunicorn.http.errors import InvalidChunkSize
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

from webapp import gevent_worker, security_headers
from webapp.gevent_worker import OneSend, PacedBody, Worker, http_date, write_problem
from webapp.security_headers import ON_EVERY_RESPONSE
from webapp.shutdown import shutdown


class Body:
    """A body as gunicorn passes it on. Reading it may take time or never return."""

    failed = False

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def raising(error: Exception) -> Callable[[int], bytes]:
    def read(_: int) -> bytes:
        raise error

    return read


def test_a_body_within_its_time_is_read_to_the_end():
    assert PacedBody(Body(io.BytesIO(b"x" * 100_000).read)).readall() == b"x" * 100_000


def test_a_body_that_arrives_too_slowly_times_out(monkeypatch):
    monkeypatch.setattr(gevent_worker, "BODY_SECONDS", 0.2)

    def drip(_: int) -> bytes:
        gevent.sleep(0.02)
        return b"x"

    with pytest.raises(RequestTimeout):
        PacedBody(Body(drip)).readall()


def test_a_body_that_does_not_arrive_times_out(monkeypatch):
    monkeypatch.setattr(gevent_worker, "BODY_SECONDS", 0.05)

    def silence(_: int) -> bytes:
        gevent.sleep(60)
        return b""

    with pytest.raises(RequestTimeout):
        PacedBody(Body(silence)).read(10)


def test_malformed_chunks_are_an_error_of_the_connection():
    with pytest.raises(OSError, match="malformed"):
        PacedBody(Body(raising(InvalidChunkSize(b"zz")))).read(10)


def test_a_connection_with_a_broken_body_is_not_used_again():
    body: Any = Body(lambda _: b"")
    paced = PacedBody(body)
    assert not paced.failed
    body.failed = True
    assert paced.failed


def test_a_request_that_is_not_http_is_refused_with_a_problem_document():
    server, client = socket.socketpair()
    with server, client:
        write_problem(server, 431, "Request Header Fields Too Large", "X-Secret: /etc/passwd")
        head, _, document = client.recv(65_536).decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 431 ") and "application/problem+json" in head
    assert f"Content-Length: {len(document)}" in head
    assert json.loads(document)["code"] == "request_header_fields_too_large"
    assert "/etc" not in document


def test_a_long_poll_ends_early_when_the_process_stops(alice, monkeypatch):
    monkeypatch.setattr(shutdown, "begun", True)
    url = alice.submits()["poll_url"]
    assert alice.get(f"{url}?wait=25").status_code == 200
    assert alice.get(f"{url}?wait=25", headers={"If-None-Match": '"1"'}).status_code == 304


@pytest.mark.parametrize(
    ("number", "ends_as"),
    [(errno.ETIMEDOUT, errno.ECONNRESET), (errno.EBADF, errno.ECONNRESET), (errno.ENOSPC, errno.ENOSPC)],
)
def test_a_client_that_was_cut_off_is_logged_in_one_line_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, number: int, ends_as: int
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(number, "sending failed")

    logged: list[str] = []
    worker = Worker.__new__(Worker)
    worker.log = SimpleNamespace(info=logged.append)
    monkeypatch.setattr(GeventWorker, "handle_request", fails)

    with pytest.raises(OSError) as raised:
        worker.handle_request(None, SimpleNamespace(body=SimpleNamespace(reader=None)), None, None)

    # gunicorn ignores the first error, and logs a trace of others.
    assert raised.value.errno == ends_as
    assert logged == (["A client did not read; its connection was cut."] if ends_as == errno.ECONNRESET else [])


class Reluctant:
    """A socket whose first `send` takes only a few bytes, as a full buffer does."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.received.append(data[:10])
        return 10

    def sendall(self, data: bytes) -> None:
        self.received.append(data)


def test_a_response_is_sent_whole_even_if_the_client_takes_it_in_parts() -> None:
    client = Reluctant()
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)
    response = OneSend(request, client, Config())
    response.start_response("200 OK", [("Content-Length", "5")])
    response.write(b"hello")
    sent = b"".join(client.received)
    assert len(client.received) == 2
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n") and sent.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("own", [[], [("Cache-Control", "private")], [("X-Frame-Options", "DENY"), ("X-Other", "a")]])
def test_every_security_header_is_sent_once(own: list[tuple[str, str]]) -> None:
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*own, ("Content-Length", "2")])
        return [b"ok"]

    app = Flask(__name__)
    app.wsgi_app = application  # type: ignore[method-assign,assignment]
    security_headers.install(app)
    server, client = socket.socketpair()
    with server, client:
        response = OneSend(request, server, Config())
        for part in app({}, response.start_response):
            response.write(part)
        head = client.recv(65_536).decode().partition("\r\n\r\n")[0]

    headers = [tuple(line.split(": ", 1)) for line in head.split("\r\n")[1:]]
    given = {name for name, _ in own}
    expected = {*own, ("Content-Length", "2"), *(each for each in ON_EVERY_RESPONSE if each[0] not in given)}
    assert sorted(each for each in headers if each[0] not in ("Server", "Date", "Connection")) == sorted(expected)


def test_the_date_header_has_the_current_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for second in (1_700_000_000, 1_700_000_001):
        monkeypatch.setattr(time, "time", lambda second=second: second + 0.9)
        assert parsedate_to_datetime(http_date()).timestamp() == second
