"""A fixture that writes packages of job modules."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

Write = Callable[..., str]

_numbers = itertools.count()


@pytest.fixture
def write_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a package of modules given as text, and return its name, which is new each time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(**modules: str) -> str:
        name = f"sample_jobs_{next(_numbers)}"
        names.append(name)
        folder = tmp_path / name
        folder.mkdir()
        for module, text in {"__init__": "", **modules}.items():
            source = dedent(text).replace("PACKAGE", name)
            (folder / f"{module}.py").write_text(f"from jobs.engine.author.decorator import job\n{source}")
        return name

    yield write
    for module in [module for module in sys.modules if module.partition(".")[0] in names]:
        del sys.modules[module]
