"""The configuration file of the embedded broker, and the environment of its process."""

from __future__ import annotations

from pathlib import Path

from jobs.engine.local.server_config import configuration, environment
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


def test_the_server_keeps_freed_memory_at_hand() -> None:
    assert environment({"HOME": "/home/ada"}) == {
        "HOME": "/home/ada",
        "GLIBC_TUNABLES": "glibc.malloc.tcache_count=500",
    }


def test_tunables_that_an_operator_has_set_stay() -> None:
    assert environment({"GLIBC_TUNABLES": "glibc.malloc.check=1"}) == {"GLIBC_TUNABLES": "glibc.malloc.check=1"}
