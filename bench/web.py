"""Rows about the web process: the rate of submissions and polls of `make run`, against apps with the same two routes.

Each server has one web process, the same broker and the same clients. No jobs run: the rates are those of the servers.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache, partial
from itertools import count

from .http_load import load, request
from .row import Contender, Row
from .samples import Goal, Ratio
from .server import DATABASE, PEER_DATABASE, call, caller, serve_fastapi, serve_flask, serve_installation
from .workbench import RESULTS_DATABASE, Workbench

BODY = b'{"name": "Ada Lovelace", "times": 3}'

Request = Callable[[], bytes]
#: Starts a server. Returns its port and what to send.
Start = Callable[[], tuple[int, Request]]

#: The servers that have a broker, and the functions that start them.
PEERS: Mapping[str, Callable[[Workbench, ExitStack], int]] = {
    "Flask + RQ": partial(serve_flask, app="flask_app:with_rq"),
    "Flask + Celery": partial(serve_flask, app="flask_celery_app:with_celery"),
    "FastAPI + arq": serve_fastapi,
}


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
    headers = _prepare(bench)
    plain = request("POST", "/job", {}, BODY)

    def ours() -> tuple[int, Request]:
        return serve_installation(bench, stack), post(headers)

    def theirs(serve: Callable[[Workbench, ExitStack], int]) -> tuple[int, Request]:
        return serve(bench, stack), lambda: plain

    starts: dict[str, Start] = {
        "workhorse": ours,
        "bare Flask": partial(theirs, partial(serve_flask, app="flask_app:bare")),
    }
    starts |= {name: partial(theirs, serve) for name, serve in PEERS.items()}
    return {name: _rate(bench, 202, start) for name, start in starts.items()}


def _polls(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    headers = _prepare(bench)

    def ours() -> tuple[int, Request]:
        port = serve_installation(bench, stack)
        return port, poll(port, headers)

    def bare() -> tuple[int, Request]:
        same = request("GET", "/job", {})
        return serve_flask(bench, stack, "flask_app:bare"), lambda: same

    def theirs(serve: Callable[[Workbench, ExitStack], int]) -> tuple[int, Request]:
        port = serve(bench, stack)
        same = request("GET", f"/job/{call(port, 'POST', '/job', {}, BODY)['job_id']}", {})
        return port, lambda: same

    starts: dict[str, Start] = {"workhorse": ours, "bare Flask": bare}
    starts |= {name: partial(theirs, serve) for name, serve in PEERS.items()}
    return {name: _rate(bench, 200, start) for name, start in starts.items()}


def _prepare(bench: Workbench) -> dict[str, str]:
    """Empty the databases. Return the headers of a user's requests."""
    for database in (DATABASE, PEER_DATABASE, RESULTS_DATABASE):
        bench.connection(database).flushdb()
    _user, headers = caller(bench)
    return headers


def _rate(bench: Workbench, expected: int, start: Start) -> Contender:
    """Return a contender whose server is started with its first sample, so that only it is affected if that fails."""
    started = cache(start)

    def sample() -> float:
        port, next_request = started()
        return per_second(bench, port, expected, next_request)

    return sample


def _goals(what: str, flask: float, arq: float, bare: float) -> tuple[Goal, ...]:
    return (
        Ratio("workhorse", "Flask + RQ", f"{what}, `make run`, against Flask + RQ", at_least=flask, headline=True),
        Ratio("workhorse", "Flask + Celery", f"{what}, `make run`, against Flask + Celery", at_least=1.0),
        Ratio("workhorse", "FastAPI + arq", f"{what}, `make run`, against FastAPI + arq", at_least=arq, headline=True),
        Ratio("workhorse", "bare Flask", f"{what}, `make run`, against a bare Flask route", at_least=bare),
    )


ROWS = (
    Row(
        "post",
        "POST of a job; ours with API key and Idempotency-Key",
        "requests/s",
        _goals("POST of a valid job with API key and Idempotency-Key", flask=1.3, arq=1.0, bare=0.6),
        _posts,
        peers=("flask", "fastapi"),
    ),
    Row(
        "poll",
        "poll of one job; ours with API key",
        "requests/s",
        _goals("poll of one job with API key", flask=2.0, arq=1.0, bare=0.75),
        _polls,
        peers=("flask", "fastapi"),
    ),
)
