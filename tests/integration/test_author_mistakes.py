"""A mistake in a job module stops each real process with one line that names the fix."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import free_port

ROOT = Path(__file__).parents[2]
GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "--config", "python:webapp.gunicorn_conf"]
MAKE_RUN = "import sys; from jobs.engine.local.instance import main; sys.exit(main())"

NO_HINT = "from jobs.engine import job\n\n\n@job\ndef broken(text) -> None: ...\n"
NAMES_THE_FIX = "mistaken.wrong.broken: parameter 'text' has no type hint; add one, as in 'text: str'."

Run = Callable[[list[str]], subprocess.CompletedProcess[str]]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    package = tmp_path / "mistaken"
    package.mkdir()
    (package / "__init__.py").touch()
    path = package / "wrong.py"
    path.write_text(NO_HINT)
    return path


@pytest.fixture
def run(module: Path, tmp_path: Path) -> Run:
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "JOB_PACKAGES": "mistaken",
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "2",
    }

    def runner(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)

    return runner


def lines_about(mistake: str, done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stdout + done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if mistake in line]


def test_the_web_process_logs_one_line_however_many_workers_it_has(run: Run) -> None:
    done = run([*GUNICORN, "webapp:create_app()"])
    assert done.returncode == 3
    assert len(lines_about(NAMES_THE_FIX, done)) == 1


def test_the_worker_process_prints_one_line(run: Run) -> None:
    done = run([sys.executable, "worker.py"])
    assert done.returncode == 1
    assert lines_about(NAMES_THE_FIX, done) == [f"worker.py: {NAMES_THE_FIX}"]


def test_make_run_prints_a_line_for_each_process_and_ends(run: Run) -> None:
    done = run([sys.executable, "-c", MAKE_RUN])
    assert done.returncode != 0
    # The process that is stopped because the other one has ended may not have come that far.
    assert 1 <= len(lines_about(NAMES_THE_FIX, done)) <= 2


def test_a_module_that_can_not_be_imported_is_named_with_the_line(run: Run, module: Path) -> None:
    module.write_text("limit = 10\n\nhalf = limit / 0\n")
    done = run([*GUNICORN, "webapp:create_app()"])
    (line,) = lines_about("mistaken.wrong", done)
    assert line.endswith("can't be imported (line 3): ZeroDivisionError: division by zero")
