"""The facts about a run: the machine, the versions, the time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jobs.engine.local.server_binary import find_binary

from .environments import PINNED
from .workbench import Effort

SETTINGS = (
    "defaults, except: Celery has the prefork pool with one child, acknowledges late, stores results, and runs without "
    "mingle and gossip; with one task per child it also reserves one task at a time; Huey has one process and stores "
    "all results; Flask runs under gunicorn with one gevent worker, FastAPI under uvicorn (uvloop, httptools) with one "
    "process and no access log"
)


def facts(command: str, effort: Effort) -> dict[str, str]:
    """Return the facts that a reader needs to judge the numbers or to repeat the run."""
    return {
        "Command": f"`{command}`",
        "Effort": f"{effort.rounds} rounds; {effort.seconds:g} s a rate, {effort.submissions} submissions a latency, "
        f"{effort.backlog:,} jobs in the long queue, {effort.turns:,} turns of a loop",
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Machine": f"{os.cpu_count()} CPUs ({_processor()}), {_memory_gigabytes():.0f} GB; load {_load()} at the start",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Broker": f"{_broker_version()}, one for all, on a unix socket, append-only file on (everysec)",
        "This project": f"rq {version('rq')}, redis-py {version('redis')}, Flask {version('flask')}, "
        f"gunicorn {version('gunicorn')}, gevent {version('gevent')}",
        "Peers": "; ".join(f"{name}: {' '.join(pins)}" for name, pins in PINNED.items()),
        "Settings of peers": SETTINGS,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory_gigabytes() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _broker_version() -> str:
    words = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()
    return " ".join([words[0], *(word.removeprefix("v=") for word in words if word.startswith("v="))])
