"""The HTTP client of the benchmark reads real responses, and does not count wrong ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.http_load import BadAnswer, load, request


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_message: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_request: object) -> None:
        pass  # the load closes its connections in the middle of a response


@pytest.fixture
def port() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_request_is_counted_when_its_response_is_complete(port: int) -> None:
    outcome = load(port, lambda: request("POST", "/", {}, b'{"a": 1}' * 20_000), 0.2, expected=202, connections=2)
    assert outcome.requests == len(outcome.latencies) > 0
    assert all(latency > 0 for latency in outcome.latencies)


def test_a_response_with_another_status_ends_the_load(port: int) -> None:
    with pytest.raises(BadAnswer, match=r"expected 200: HTTP/1\.1 202"):
        load(port, lambda: request("POST", "/", {}, b"{}"), 5, expected=200)
