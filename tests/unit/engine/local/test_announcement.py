"""The announcement of an instance: once it is ready, or why it stops."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import fakeredis
import pytest

from jobs.engine.local.announcement import announce, not_ready
from jobs.engine.local.process_group import ProcessGroup
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis
from tests.loopback import free_port


class Processes:
    """Stands in for the group of processes."""

    def __init__(self) -> None:
        self.stopping = False

    def terminate(self) -> None:
        self.stopping = True


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that is ready."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def free() -> int:
    return free_port()


def announced(settings: Settings, processes: Processes) -> str:
    said: list[str] = []
    announce(settings, "in a file", said.append, cast(ProcessGroup, processes))
    return "\n".join(said)


def test_a_ready_instance_is_announced_with_a_link_and_its_key(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
    connection.hset("wh:user:admin", mapping={"email": "a@b.c", "roles": "admin", "generation": "g"})
    connection.hset("wh:user:admin", "created_at", "2026-11-25T09:00:00+00:00")
    monkeypatch.setattr("jobs.engine.local.announcement.connect", lambda settings: connection)
    said = announced(Settings(data_dir=tmp_path, port=port), Processes())
    assert f"Workhorse is ready:        http://127.0.0.1:{port}" in said
    assert f"http://127.0.0.1:{port}/sign-in?token=" in said and "in a file" in said


def test_an_instance_that_does_not_get_ready_is_stopped_with_the_reason(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.local.announcement.READY_TIMEOUT_SECONDS", 0.1)
    processes = Processes()
    assert "is not ready after 0.1 s" in announced(Settings(data_dir=tmp_path, port=free), processes)
    assert processes.stopping


def test_a_stopping_instance_is_not_announced(port: int, tmp_path: Path) -> None:
    processes = Processes()
    processes.terminate()
    assert announced(Settings(data_dir=tmp_path, port=port), processes) == ""


def test_an_address_where_nothing_listens_is_not_ready(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "refused" in (not_ready(f"http://127.0.0.1:{free}") or "")
