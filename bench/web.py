"""Rows about the web process: the rate of submissions and polls, against a bare Flask route on the same server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count

from .http_load import load, request
from .row import Contender, Row
from .samples import Ratio
from .server import DATABASE, PEER_DATABASE, call, caller, serve, serve_peer
from .workbench import Workbench

BODY = b'{"name": "Ada Lovelace", "times": 3}'

Request = Callable[[], bytes]


def per_second(bench: Workbench, port: int, expected: int, next_request: Request) -> float:
    return load(port, next_request, bench.effort.seconds, expected=expected).per_second


def post(headers: dict[str, str]) -> Request:
    """Return a function that makes requests, each with an Idempotency-Key of its own."""
    run, number = uuid.uuid4().hex, count()
    return lambda: request("POST", "/api/v1/jobs/greet", headers | {"Idempotency-Key": f"{run}-{next(number)}"}, BODY)


def poll(port: int, headers: dict[str, str]) -> Request:
    """Submit a job. Return a function that makes requests for it."""
    job = call(port, "POST", "/api/v1/jobs/greet", headers, BODY)
    same = request("GET", job["poll_url"], headers)
    return lambda: same


def _posts(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    bench.connection(DATABASE).flushdb()
    bench.connection(PEER_DATABASE).flushdb()
    _user, headers = caller(bench)
    plain = request("POST", "/job", {}, BODY)
    return {
        "workhorse": partial(per_second, bench, serve(bench, stack), 202, post(headers)),
        "bare Flask": partial(per_second, bench, serve_peer(bench, stack, "bare"), 202, lambda: plain),
        "Flask + RQ": partial(per_second, bench, serve_peer(bench, stack, "with_rq"), 202, lambda: plain),
    }


def _polls(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    bench.connection(DATABASE).flushdb()
    bench.connection(PEER_DATABASE).flushdb()
    _user, headers = caller(bench)
    port = serve(bench, stack)
    with_rq = serve_peer(bench, stack, "with_rq")
    peers_job = call(with_rq, "POST", "/job", {}, BODY)
    bare = request("GET", "/job", {})
    theirs = request("GET", f"/job/{peers_job['job_id']}", {})
    return {
        "workhorse": partial(per_second, bench, port, 200, poll(port, headers)),
        "bare Flask": partial(per_second, bench, serve_peer(bench, stack, "bare"), 200, lambda: bare),
        "Flask + RQ": partial(per_second, bench, with_rq, 200, lambda: theirs),
    }


ROWS = (
    Row(
        "post",
        "POST of a job with API key and Idempotency-Key",
        "requests/s",
        (
            Ratio(
                "workhorse",
                "bare Flask",
                "POST of a valid job with API key and Idempotency-Key, against the bare Flask JSON route",
                at_least=0.6,
            ),
        ),
        _posts,
    ),
    Row(
        "poll",
        "poll of one job with API key",
        "requests/s",
        (
            Ratio(
                "workhorse",
                "bare Flask",
                "poll of one job with API key, against the bare Flask JSON route",
                at_least=0.75,
            ),
        ),
        _polls,
    ),
)
