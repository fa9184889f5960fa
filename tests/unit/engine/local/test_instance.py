"""The parts of an instance that need no process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from jobs.engine.local import instance
from jobs.engine.local.embedded_broker import EmbeddedBroker
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
    assert instance.without_shell(line) == expected


@pytest.mark.parametrize(("code", "expected"), [(130, 0), (143, 0), (0, 1), (None, 1), (3, 3), (-9, 1)])
def test_only_a_requested_stop_succeeds(code: int | None, expected: int) -> None:
    assert instance.exit_code(code) == expected


def test_the_processes_get_the_same_settings_and_this_pythons_programs(tmp_path: Path) -> None:
    environment = instance.environment(Settings(port=8123, data_dir=tmp_path))
    assert environment["PORT"] == "8123"
    assert environment["DATA_DIR"] == str(tmp_path)
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_the_embedded_broker_is_only_started_without_redis_url(tmp_path: Path) -> None:
    assert isinstance(instance.broker(Settings(data_dir=tmp_path, redis_url=None), print), EmbeddedBroker)
    theirs = instance.broker(Settings(data_dir=tmp_path, redis_url="redis://localhost"), print)
    assert not isinstance(theirs, EmbeddedBroker)
