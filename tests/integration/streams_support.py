"""A real web process, and clients that follow its streams byte by byte."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from jobs.engine.accounts.accounts import Accounts
from tests.integration.harness import ROOT, Harness
from tests.loopback import free_port
from tests.waiting import eventually

#: No stream of these tests is silent for longer.
SILENCE_SECONDS = 40.0


@dataclass(frozen=True)
class Event:
    name: str
    id: int | None
    data: Any


class Web:
    """gunicorn as in production, on its own port, with an API key of a user."""

    def __init__(self, harness: Harness, user_id: str, **environment: str) -> None:
        self.harness = harness
        self.user_id = user_id
        self.accounts = Accounts(harness.connection, harness.settings)
        self.accounts.register(user_id, f"{user_id}@example.com", "correct horse")
        self.key_id, self.key = self.new_key()
        self.port = free_port()
        self._environment = {"PORT": str(self.port), "RATE_LIMIT": "100000/minute", **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def new_key(self) -> tuple[str, str]:
        api_key, key = self.accounts.create_key(self.user_id, "test")
        return api_key.id, key

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.gunicorn_conf", "webapp:create_app()"]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.harness.environment | self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self.is_ready, "the web process is ready")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            processes = [*psutil.Process(self._process.pid).children(recursive=True)]
            self._process.send_signal(how)
            self._process.wait(60)
            for process in processes:
                if how is signal.SIGKILL and process.is_running():
                    process.kill()
            psutil.wait_procs(processes, 60)
            self._process = None

    def terminate(self) -> None:
        assert self._process is not None
        self._process.terminate()

    def restart(self) -> None:
        self.stop(signal.SIGKILL)
        self.start()

    @property
    def worker(self) -> psutil.Process:
        assert self._process is not None
        process: psutil.Process = psutil.Process(self._process.pid).children()[0]
        return process

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        text = None if body is None else json.dumps(body)
        head = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | headers
        connection.request(method, path, text, {name: value for name, value in head.items() if value})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = "json" in (answer.headers.get_content_type() or "")
        return answer.status, dict(answer.headers), json.loads(content) if is_json and content else content

    @contextmanager
    def stream(self, path: str, after: int | None = None, *, key: str | None = None) -> Iterator[Stream]:
        """Open a stream. With an empty key, the request has no credential."""
        stream = Stream(self.port, f"/api/v1/jobs/{path}", after, self.key if key is None else key)
        try:
            yield stream
        finally:
            stream.cut()


class Stream:
    """One connection to an event stream. Iterating ends when the server ends it."""

    def __init__(self, port: int, path: str, after: int | None, key: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE_SECONDS)
        headers = {"Accept": "text/event-stream"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                continue
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif fields:
                yield _event(fields)
                fields = {}

    def cut(self) -> None:
        if self.connection.sock is not None:
            self.connection.sock.close()
        self.answer.close()
        self.connection.close()


def _event(fields: dict[str, str]) -> Event:
    return Event(
        fields.get("event", ""), int(fields["id"]) if "id" in fields else None, json.loads(fields.get("data", "null"))
    )
