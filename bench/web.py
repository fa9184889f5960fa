"""Rows about the web process: what a submission and a poll cost beside a bare Flask route under the same server."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any

from jobs.engine.accounts.accounts import Accounts

from .environments import python
from .http_load import load, request
from .row import Contender, Row
from .samples import Ratio
from .workbench import Workbench, free_port, until

BODY = b'{"name": "Ada Lovelace", "times": 3}'
#: The databases of this project's web process, and of plain Flask with RQ.
DATABASE, PEER_DATABASE = 5, 6

Request = Callable[[], bytes]


def caller(bench: Workbench, database: int = DATABASE) -> tuple[str, dict[str, str]]:
    """Make a user with an API key. Answers who that is, and the headers of their requests."""
    connection = bench.connection(database)
    accounts = Accounts(connection, bench.settings)
    user = accounts.register(f"user-{uuid.uuid4().hex[:8]}", f"{uuid.uuid4().hex}@example.com", uuid.uuid4().hex)
    _, key = accounts.create_key(user.user_id, "bench")
    return user.user_id, {"Authorization": f"Bearer {key}"}


def serve(bench: Workbench, stack: ExitStack, database: int = DATABASE) -> int:
    """Start this project's web process. Answers its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.gunicorn_conf", "webapp:create_app()"]
    stack.enter_context(bench.running(command, bench.environment(database, PORT=str(port))))
    _until_it_listens(port)
    return port


def _serve_peer(bench: Workbench, stack: ExitStack, app: str) -> int:
    port = free_port()
    # As webapp/gunicorn_conf.py has it: one gevent worker, connections kept.
    options = ["-k", "gevent", "-w", "1", "--keep-alive", "5", "--worker-connections", "3000"]
    command = [python("flask"), "-m", "gunicorn", *options, "-b", f"127.0.0.1:{port}", f"bench.peers.flask_app:{app}()"]
    stack.enter_context(bench.running(command, bench.peer_environment(PEER_DATABASE)))
    _until_it_listens(port)
    return port


def _until_it_listens(port: int) -> None:
    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    until(listens, f"a server at port {port}")


def call(port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """One request, and the JSON that it is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers | {"Content-Type": "application/json"})
    answer: Any = json.load(connection.getresponse())
    connection.close()
    return answer


def _per_second(bench: Workbench, port: int, expected: int, next_request: Request) -> float:
    return load(port, next_request, bench.effort.seconds, expected=expected).per_second


def _posts(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    bench.connection(DATABASE).flushdb()
    bench.connection(PEER_DATABASE).flushdb()
    _user, who = caller(bench)
    port = serve(bench, stack)
    run, number = uuid.uuid4().hex, count()

    def post() -> bytes:
        return request("POST", "/api/v1/jobs/greet", who | {"Idempotency-Key": f"{run}-{next(number)}"}, BODY)

    plain = request("POST", "/job", {}, BODY)
    return {
        "workhorse": partial(_per_second, bench, port, 202, post),
        "bare Flask": partial(_per_second, bench, _serve_peer(bench, stack, "bare"), 202, lambda: plain),
        "Flask + RQ": partial(_per_second, bench, _serve_peer(bench, stack, "with_rq"), 202, lambda: plain),
    }


def _polls(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    bench.connection(DATABASE).flushdb()
    bench.connection(PEER_DATABASE).flushdb()
    _user, who = caller(bench)
    port = serve(bench, stack)
    with_rq = _serve_peer(bench, stack, "with_rq")
    job = call(port, "POST", "/api/v1/jobs/greet", who, BODY)
    peers_job = call(with_rq, "POST", "/job", {}, BODY)
    ours = request("GET", job["poll_url"], who)
    bare = request("GET", "/job", {})
    theirs = request("GET", f"/job/{peers_job['job_id']}", {})
    return {
        "workhorse": partial(_per_second, bench, port, 200, lambda: ours),
        "bare Flask": partial(_per_second, bench, _serve_peer(bench, stack, "bare"), 200, lambda: bare),
        "Flask + RQ": partial(_per_second, bench, with_rq, 200, lambda: theirs),
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
                "poll of one job with API key, against the same",
                at_least=0.75,
            ),
        ),
        _polls,
    ),
)
