"""The parts of a local start that need no process."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from jobs.engine.errors import CannotStart
from jobs.engine.local import instance as local
from jobs.engine.local.announcement import not_ready
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.local.port import refuse_busy_port
from jobs.engine.settings import Settings


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python worker.py", "exec python worker.py"),
        ("gunicorn 'webapp:create_app()'", "exec gunicorn 'webapp:create_app()'"),
        ("MODE=1 python worker.py", "MODE=1 python worker.py"),
        ("python migrate.py && python worker.py", "python migrate.py && python worker.py"),
    ],
)
def test_a_line_with_one_program_runs_without_a_shell(line: str, expected: str) -> None:
    assert local.without_shell(line) == expected


@pytest.mark.parametrize(("code", "expected"), [(130, 0), (143, 0), (0, 1), (None, 1), (3, 3), (-9, 1)])
def test_only_a_requested_stop_succeeds(code: int | None, expected: int) -> None:
    assert local.exit_code(code) == expected


def test_a_busy_port_is_refused_with_another_port_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.local.port.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"Port {port} can't be used.*make run PORT={port + 1}"):
            refuse_busy_port(port)
    refuse_busy_port(port)


def test_the_processes_get_the_same_settings_and_this_pythons_programs(tmp_path: Path) -> None:
    environment = local.environment(Settings(port=8123, data_dir=tmp_path))
    assert environment["PORT"] == "8123"
    assert environment["DATA_DIR"] == str(tmp_path)
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_an_address_where_nothing_listens_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "refused" in (not_ready(f"http://127.0.0.1:{port}") or "")


def test_the_embedded_broker_is_only_started_without_redis_url(tmp_path: Path) -> None:
    assert isinstance(local.broker(Settings(data_dir=tmp_path, redis_url=None), print), EmbeddedBroker)
    theirs = local.broker(Settings(data_dir=tmp_path, redis_url="redis://localhost"), print)
    assert not isinstance(theirs, EmbeddedBroker)
