"""The heads of requests: those that one pattern reads, and those that are left to gunicorn."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from webapp.request_head import QuickParser

POST = (
    b"POST /api/v1/jobs/greet?priority=high&tag=a HTTP/1.1\r\nHost: localhost:8000\r\nAuthorization: Bearer wh_1\r\n"
    b"Idempotency-Key: a b\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Empty:\r\n\r\n{}"
)
ODD = [
    POST,
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n\r\n",
    b"GET /caf%C3%A9;a=b?x=%20&y=[1]&z=? HTTP/1.1\r\nA: caf\xe9\t \r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET //elsewhere/a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nAccept: a\r\naccept: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\na",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: something\r\n\r\na",
    b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n",
    b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"a" * 300 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: a\r\n" % number for number in range(12)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
]


def read_by(kind: type[RequestParser], data: bytes, address: str) -> object:
    """Return all that a parser reads from the data, or the error that it raises."""
    config = Config()
    config.set("limit_request_line", 280)
    config.set("limit_request_field_size", 290)
    config.set("limit_request_fields", 10)
    parser: Any = kind(config, [data], (address, 1))
    try:
        request = next(parser)
        body = request.body.read()
    except Exception as error:  # noqa: BLE001 (both must raise the same)
        return type(error), str(error)
    shown = ("method", "uri", "path", "query", "fragment", "version", "headers", "scheme", "_expected_100_continue")
    fields = {name: getattr(request, name) for name in shown}
    return fields | {"body": body, "rest": request.unreader.read(), "closes": request.should_close()}


@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7"])
@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_a_head_is_read_as_gunicorn_reads_it(data: bytes, address: str):
    assert read_by(QuickParser, data, address) == read_by(RequestParser, data, address)


@given(st.integers(0, len(POST)), st.integers(0, 3), st.binary(max_size=3))
def test_a_damaged_head_is_read_as_gunicorn_reads_it(place: int, lost: int, added: bytes):
    data = POST[:place] + added + POST[place + lost :]
    assert read_by(QuickParser, data, "127.0.0.1") == read_by(RequestParser, data, "127.0.0.1")


def test_an_ordinary_head_is_not_left_to_gunicorn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Request, "_parse_python", None)
    assert isinstance(read_by(QuickParser, POST, "127.0.0.1"), dict)


@pytest.mark.parametrize("read", [0, 1, 4, None])
@pytest.mark.parametrize(
    "body", [b"\r\n", b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
)
def test_the_next_request_begins_after_the_body_however_much_of_it_was_read(body: bytes, read: int | None):
    data = b"POST /first HTTP/1.1\r\nHost: a\r\n" + body + b"GET /second HTTP/1.1\r\n\r\n"
    parser: Any = QuickParser(Config(), [data[:60], data[60:]], ("127.0.0.1", 1))
    first = next(parser)
    assert (first.path, first.body.read(read)) == ("/first", b"body"[:read] if b"body" in body else b"")
    assert next(parser).path == "/second"


def test_no_request_follows_a_body_that_could_not_be_read():
    data = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody" + b"GET / HTTP/1.1\r\n\r\n"
    parser: Any = QuickParser(Config(), [data], ("127.0.0.1", 1))
    body = next(parser).body
    body.read()
    body.failed = True
    with pytest.raises(StopIteration):
        next(parser)
