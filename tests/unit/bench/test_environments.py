"""A peer that can't be installed is left out, and the others are installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import environments


def test_a_peer_that_can_not_be_installed_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed = tmp_path / "good"
    installed.mkdir()
    (installed / "installed").write_text("good==1")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "PINNED", {"bad": ("bad==1",), "good": ("good==1",)})
    tries: list[str] = []

    def fail(command: list[object], **_options: object) -> None:
        tries.append(str(command[0]))
        raise subprocess.CalledProcessError(1, "pip install bad==1")

    monkeypatch.setattr(subprocess, "run", fail)
    environments.install(["good", "bad"])

    assert environments.python("good") == installed / "bin" / "python"
    with pytest.raises(environments.NotInstalled, match=r"bad could not be installed: .*pip install bad==1"):
        environments.python("bad")
    assert len(tries) == 1
