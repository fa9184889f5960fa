"""The environments of the peers: each has a venv with pinned versions, which is kept under `.bench/`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".bench"


def _redis() -> tuple[str, ...]:
    """Return this project's redis-py. Either all contenders have its C parser, or none."""
    try:
        return "redis==8.1.0", f"hiredis=={version('hiredis')}"
    except PackageNotFoundError:
        return ("redis==8.1.0",)


class NotInstalled(subprocess.SubprocessError):
    """A peer's packages could not be installed, so it is not measured."""


#: The peers whose installation has failed in this run, with the reason.
_failed: dict[str, str] = {}

_FLASK = (
    "flask==3.1.3",
    "gunicorn==27.0.1",
    # gunicorn's gevent worker and kombu import it without declaring it.
    "packaging==26.3",
    "gevent==26.9.0",
)
_CELERY = ("celery==5.7.0", "kombu==5.7.0", "billiard==4.3.2")

#: The packages of each peer. redis-py and the web server have the versions that this project uses.
PINNED: dict[str, tuple[str, ...]] = {
    "rq": ("rq==2.12.0", *_redis()),
    "celery": (*_CELERY, "packaging==26.3", *_redis()),
    "huey": ("huey==3.5.4", *_redis()),
    "tqdm": ("tqdm==4.70.1",),
    "flask": (*_FLASK, "rq==2.12.0", *_CELERY, *_redis()),
    "fastapi": (
        "fastapi==0.165.0",
        "starlette==1.10.0",
        "pydantic==2.14.4",
        # With uvloop and httptools, as its documentation recommends.
        "uvicorn[standard]==0.54.0",
        "uvloop==0.23.0",
        "httptools==0.9.0",
        "arq==0.28.0",
        # arq requires redis-py before 6, with the C parser.
        "redis==5.3.1",
        "hiredis==3.5.0",
    ),
}


def install(names: Iterable[str]) -> None:
    """Make the environments that are missing. A peer that can't be installed is left out of the measurements."""
    for name in sorted(names):
        try:
            python(name)
        except (OSError, subprocess.SubprocessError) as error:
            _failed[name] = f"the environment {name} could not be installed: {error}"
            print(_failed[name], file=sys.stderr, flush=True)


def python(name: str) -> Path:
    """Return the interpreter of a peer's environment. Make the environment if it is missing or outdated.

    Raises:
        NotInstalled: `install_all` has tried before, and failed.
    """
    if name in _failed:
        raise NotInstalled(_failed[name])
    folder = FOLDER / name
    stamp = folder / "installed"
    wanted = "\n".join(PINNED[name])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {' '.join(PINNED[name])} into {folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *PINNED[name]], check=True, stdin=subprocess.DEVNULL)
        # Written last, so that an interrupted installation starts again.
        stamp.write_text(wanted)
    return folder / "bin" / "python"
