"""The two interfaces that clients use: the engine's own client, and HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.errors import BrokerUnavailable, JobEnded, JobNotFound, WorkhorseError
from jobs.engine.settings import Settings
from jobs.engine.states import Priority

from .workload import Wish

HTTP_TIMEOUT_SECONDS = 10.0
NO_HEADERS: Mapping[str, str] = {}

Reply = tuple[int, bytes]


@dataclass(frozen=True)
class Acked:
    job_id: str


@dataclass(frozen=True)
class Refused:
    why: str


@dataclass(frozen=True)
class Unknown:
    why: str


Answer = Acked | Refused | Unknown


class Interface(Protocol):
    def submit(self, wish: Wish, depends_on: tuple[str, ...], key: str) -> Answer: ...

    def cancel(self, job_id: str) -> str | None:
        """Cancel a job. Return its status afterwards, or None without a response."""


class ClientInterface:
    """Calls the engine's client directly, without a web process."""

    def __init__(self, settings: Settings) -> None:
        self._catalogue = Catalogue.discover(settings.job_packages)
        self._client = Client(connect(settings), settings, self._catalogue)

    def submit(self, wish: Wish, depends_on: tuple[str, ...], key: str) -> Answer:
        submission = Submission(
            self._catalogue.find(wish.job_type),
            wish.params,
            "admin",
            priority=Priority(wish.priority),
            delay_seconds=wish.delay_seconds,
            depends_on=depends_on,
            idempotency_key=key,
            digest=f"{wish.number:016x}",
            unique_key=wish.unique_key,
        )
        try:
            return Acked(self._client.submit(submission).job.job_id)
        except BrokerUnavailable as error:
            return Unknown(error.code)
        except WorkhorseError as error:
            return Refused(error.code)

    def cancel(self, job_id: str) -> str | None:
        try:
            return str(self._client.cancel(job_id).status)
        except BrokerUnavailable:
            return None
        except (JobEnded, JobNotFound) as error:
            return error.code


class HttpInterface:
    """Sends requests to the web processes."""

    def __init__(self, port: int, api_key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._mine = threading.local()

    def submit(self, wish: Wish, depends_on: tuple[str, ...], key: str) -> Answer:
        options = [("priority", wish.priority), *(("depends_on", each) for each in depends_on)]
        if wish.delay_seconds:
            options.append(("delay", str(wish.delay_seconds)))
        if wish.unique_key:
            options.append(("unique_key", wish.unique_key))
        path = f"/api/v1/jobs/{wish.job_type}?{urlencode(options)}"
        status, body = self._ask("POST", path, json.dumps(wish.params), {"Idempotency-Key": key})
        if status in (200, 202):
            return Acked(json.loads(body)["job_id"])
        if 400 <= status < 500 and status not in (408, 429):
            return Refused(f"{status} {body[:200]!r}")
        return Unknown(str(status))

    def cancel(self, job_id: str) -> str | None:
        status, body = self._ask("DELETE", f"/api/v1/jobs/{job_id}")
        if status in (200, 202):
            return str(json.loads(body)["status"])
        return f"http {status}" if 400 <= status < 500 else None

    def _ask(self, method: str, path: str, body: str | None = None, more: Mapping[str, str] = NO_HEADERS) -> Reply:
        connection = self._connection()
        try:
            connection.request(method, path, body, {**self._headers, **more})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, b""

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._mine, "connection"):
            address = ("127.0.0.1", self._port)
            self._mine.connection = http.client.HTTPConnection(*address, timeout=HTTP_TIMEOUT_SECONDS)
        connection: http.client.HTTPConnection = self._mine.connection
        return connection
