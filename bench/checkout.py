"""Another checkout of this project as a contender: `python -m bench --against PATH`.

It may be of any age, so nothing of it is imported here. It runs in processes of its own, in its own folder, and is
reached over HTTP and the broker.
"""

from __future__ import annotations

import http.client
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from . import server, throughput, web
from .http_load import BadAnswer
from .queue_workers import QueueWorker, Workhorse
from .row import Contender, Row
from .samples import Ratio
from .workbench import Started, Workbench

Prepare = Callable[[Workbench, ExitStack, Path], dict[str, Contender]]

#: Its name in the rows.
BEFORE = "before"
DATABASE = 10
#: The ratio that this project must reach. Two runs of one commit differ by less.
AT_LEAST = 0.95


def rows(path: Path) -> tuple[Row, ...]:
    """Return the rows in which this project and the checkout at `path` take turns, without any peer."""
    return (
        _row("jobs", "no-op jobs, one worker", "jobs/s", path, _jobs),
        _row("post", "POST of a job with API key and Idempotency-Key", "requests/s", path, _posts),
        _row("poll", "poll of one job with API key", "requests/s", path, _polls),
    )


def _row(name: str, title: str, unit: str, path: Path, prepare: Prepare) -> Row:
    goal = Ratio("workhorse", BEFORE, f"{title}, against {path}", at_least=AT_LEAST)
    return Row(name, title, unit, (goal,), lambda bench, stack: prepare(bench, stack, path))


def _jobs(bench: Workbench, _stack: ExitStack, path: Path) -> dict[str, Contender]:
    return {
        "workhorse": partial(throughput.per_second, Workhorse(bench)),
        BEFORE: partial(throughput.per_second, Checkout(bench, path)),
    }


def _posts(bench: Workbench, stack: ExitStack, path: Path) -> dict[str, Contender]:
    ours, theirs = _both(bench, stack, path)
    return {
        "workhorse": partial(web.per_second, bench, ours.port, 202, web.post(ours.headers)),
        BEFORE: partial(web.per_second, bench, theirs.port, 202, web.post(theirs.headers)),
    }


def _polls(bench: Workbench, stack: ExitStack, path: Path) -> dict[str, Contender]:
    ours, theirs = _both(bench, stack, path)
    return {
        "workhorse": partial(web.per_second, bench, ours.port, 200, web.poll(ours.port, ours.headers)),
        BEFORE: partial(web.per_second, bench, theirs.port, 200, web.poll(theirs.port, theirs.headers)),
    }


def _both(bench: Workbench, stack: ExitStack, path: Path) -> tuple[Served, Served]:
    bench.connection(server.DATABASE).flushdb()
    _user, headers = server.caller(bench)
    ours = Served(server.serve(bench, stack), headers)
    return ours, Checkout(bench, path).serve(stack)


@dataclass(frozen=True)
class Served:
    """The port of a web process, and the headers of a user's requests."""

    port: int
    headers: dict[str, str]


class Checkout(QueueWorker):
    """The checkout in `folder`."""

    database = DATABASE
    guess = 600.0

    def __init__(self, bench: Workbench, folder: Path) -> None:
        super().__init__(bench)
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """Return the environment of its processes. It keeps its secrets in a folder of its own."""
        own = {"PYTHONPATH": str(self.folder), "DATA_DIR": str(self.bench.folder / BEFORE), "REGISTRATION": "open"}
        return self.bench.environment(self.database, **own)

    def serve(self, stack: ExitStack) -> Served:
        """Empty its database, start its web process, and register a user."""
        self.bench.connection(self.database).flushdb()
        port = server.serve_checkout(self.bench, stack, self.environment(), self.folder)
        user = {"username": f"user-{uuid.uuid4().hex[:8]}", "password": uuid.uuid4().hex}
        server.call(port, "POST", "/api/v1/users", {}, json.dumps(user | {"email": "ada@example.com"}).encode())
        token = server.call(port, "POST", "/api/v1/token", {}, json.dumps(user).encode())["access_token"]
        key = server.call(port, "POST", "/api/v1/api-keys", {"Authorization": f"Bearer {token}"}, b"{}")["key"]
        return Served(port, {"Authorization": f"Bearer {key}"})

    def fill(self, jobs: int) -> None:
        with ExitStack() as stack:
            served = self.serve(stack)
            headers = served.headers | {"Content-Type": "application/json"}
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
            for _ in range(jobs):
                connection.request("POST", "/api/v1/jobs/noop", b"{}", headers)
                response = connection.getresponse()
                content = response.read()
                if response.status != HTTPStatus.ACCEPTED:
                    raise BadAnswer(f"filling the queue: {response.status} {content[:600]!r}")
            connection.close()

    @contextmanager
    def running(self) -> Iterator[Started]:
        with self.bench.running([sys.executable, "worker.py"], self.environment(), self.folder) as started:
            yield started

    def completed(self) -> int:
        return int(self.bench.connection(self.database).zcard("rq:finished:default"))
