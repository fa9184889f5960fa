"""The web processes that the rows about HTTP measure, and the users that send the requests."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import uuid
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jobs.engine.accounts.accounts import Accounts

from .environments import ROOT, python
from .http_load import BadAnswer
from .instance import instance
from .workbench import JOB_PACKAGES, Started, Workbench, free_port, until

#: The databases of this project's web process, and of the peers.
DATABASE, PEER_DATABASE = 5, 6
#: RQ's key (rq 2.12.0, rq/suspension.py) that makes workers wait.
SUSPENDED = "rq:suspended"


def caller(bench: Workbench, database: int = DATABASE) -> tuple[str, dict[str, str]]:
    """Make a user with an API key. Return the user's id and the headers of their requests."""
    connection = bench.connection(database)
    accounts = Accounts(connection, bench.settings)
    user = accounts.register(f"user-{uuid.uuid4().hex[:8]}", f"{uuid.uuid4().hex}@example.com", uuid.uuid4().hex)
    _, key = accounts.create_key(user.user_id, "bench")
    return user.user_id, {"Authorization": f"Bearer {key}"}


def serve(bench: Workbench, stack: ExitStack, database: int = DATABASE) -> int:
    """Start this project's web process. Return its port."""
    return serve_checkout(bench, stack, bench.environment(database), ROOT)


def serve_checkout(bench: Workbench, stack: ExitStack, environment: dict[str, str], folder: Path) -> int:
    """Start the web process of the checkout in `folder`. Return its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.gunicorn_conf", "webapp:create_app()"]
    started = stack.enter_context(bench.running(command, environment | {"PORT": str(port)}, folder))
    until_it_listens(port, started)
    return port


def serve_installation(bench: Workbench, stack: ExitStack) -> int:
    """Start what `make run` starts, with the benchmark's job types beside the included ones. Return its port.

    Its worker is suspended, since the peers run no jobs, either.
    """
    bench.connection(DATABASE).set(SUSPENDED, 1)
    environment = bench.environment(DATABASE, JOB_PACKAGES=f"jobs,{JOB_PACKAGES}")
    return stack.enter_context(instance(bench, environment)).port


def serve_flask(bench: Workbench, stack: ExitStack, app: str) -> int:
    """Start an app of bench/peers, such as `flask_app:bare`, with gunicorn. Return its port."""
    return start_flask(bench, stack, app, bench.peer_environment(PEER_DATABASE))[0]


def start_flask(bench: Workbench, stack: ExitStack, app: str, environment: dict[str, str]) -> tuple[int, Started]:
    """Start an app of bench/peers in this environment. Return its port and its process."""
    port = free_port()
    # The options of webapp/gunicorn_conf.py: one gevent worker, and connections are kept.
    options = ["-k", "gevent", "-w", "1", "--keep-alive", "5", "--worker-connections", "3000"]
    command = [python("flask"), "-m", "gunicorn", *options, "-b", f"127.0.0.1:{port}", f"bench.peers.{app}()"]
    started = stack.enter_context(bench.running(command, environment))
    until_it_listens(port, started)
    return port, started


def serve_fastapi(bench: Workbench, stack: ExitStack) -> int:
    """Start bench/peers/fastapi_app.py with uvicorn. Return its port."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", port, "--workers", 1, "--no-access-log"]
    command = [python("fastapi"), "-m", "uvicorn", "bench.peers.fastapi_app:app", *options]
    started = stack.enter_context(bench.running(command, bench.peer_environment(PEER_DATABASE)))
    until_it_listens(port, started)
    return port


def until_it_listens(port: int, started: Started) -> None:
    def listens() -> bool:
        started.must_run()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    until(listens, f"a server at port {port}")


def call(port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """Send one request. Return the JSON of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers | {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise BadAnswer(f"{method} {path}: {response.status} {content[:600]!r}")
    return json.loads(content)
