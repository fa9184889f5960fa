"""The configuration file of the embedded broker."""

from __future__ import annotations

from pathlib import Path

from jobs.engine.local.server_config import configuration
from jobs.engine.settings import Settings


def test_paths_are_quoted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / 'a "b"\\c\nd')
    lines = configuration(settings).splitlines()
    folder = str(settings.data_dir / "broker").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert f'dir "{folder}"' in lines


def test_the_server_listens_on_its_socket_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    lines = configuration(settings).splitlines()
    assert "port 0" in lines and f'unixsocket "{settings.broker_socket}"' in lines
