"""The real processes of a run: one broker, hosts with a worker tree each, and web processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from jobs.engine.broker.connection import connect
from jobs.engine.local.server_binary import find_binary
from jobs.engine.local.server_config import configuration
from jobs.engine.settings import Settings

from .traces import CLOCK_VARIABLE, FOLDER_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
#: The seconds by which the clocks of the hosts are off. All clocks differ, from each other and from the broker's.
CLOCKS = (3_600, -3_600)


def kill(pid: int, signum: signal.Signals = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def family(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants, its own first."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


@dataclass
class Server:
    """A process that is restarted after a pause whenever it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    #: It is not restarted before this time (monotonic).
    start_at: float = 0.0
    starts: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def keep_running(self) -> None:
        if not self.running and time.monotonic() >= self.start_at:
            self.start()

    def rest(self, seconds: float) -> None:
        self.start_at = time.monotonic() + seconds

    def end(self) -> None:
        self.start_at = float("inf")
        for pid in reversed(family(self.pid)):
            kill(pid)
        if self.process:
            self.process.wait()


@dataclass
class World:
    settings: Settings
    folder: Path
    environment: dict[str, str]
    broker: Server
    hosts: list[Server]
    web: Server | None
    #: The process ids of all workers so far, according to the broker's records.
    worker_pids: set[int] = field(default_factory=set)

    @classmethod
    def build(cls, folder: Path, *, hosts: int, workers: int, web_port: int | None) -> World:
        settings, environment = _surroundings(folder, workers, web_port)
        (folder / "traces").mkdir()
        worker_command = [sys.executable, "worker.py"]
        return cls(
            settings,
            folder,
            environment,
            _broker(settings, environment, folder),
            [
                Server(f"host-{number}", worker_command, environment | clock_off(CLOCKS[number % 2]), folder)
                for number in range(hosts)
            ],
            Server("web", _web_command(), environment, folder) if web_port else None,
        )

    @property
    def traces(self) -> Path:
        return self.folder / "traces"

    @property
    def servers(self) -> list[Server]:
        return [self.broker, *self.hosts, *([self.web] if self.web else [])]

    def connect(self) -> redis.Redis:
        return connect(self.settings)

    def keep_running(self) -> None:
        for server in self.servers:
            server.keep_running()

    def learn_worker_pids(self, connection: redis.Redis) -> None:
        """Read the process ids from the names of the workers, which begin with host-pid-."""
        names = connection.smembers("rq:workers")
        self.worker_pids |= {int(name.decode().split("-")[-2]) for name in names}  # type: ignore[union-attr]

    def workers_of(self, host: Server) -> list[int]:
        return [pid for pid in children(host.pid) if pid in self.worker_pids]

    def schedulers_of(self, host: Server) -> list[int]:
        """Return the schedulers: the children of the supervisor that are not workers."""
        return [pid for pid in children(host.pid) if pid not in self.worker_pids and _age(pid) > 2]

    def end(self) -> None:
        for server in reversed(self.servers):
            server.end()


def clock_off(seconds: float) -> dict[str, str]:
    """Return environment variables that set a process's wall clock off. Its monotonic clock is not changed."""
    return {"PYTHONPATH": f"{ROOT / 'bench/chaos/skewed'}{os.pathsep}{ROOT}", CLOCK_VARIABLE: str(seconds)}


def _surroundings(folder: Path, workers: int, web_port: int | None) -> tuple[Settings, dict[str, str]]:
    given = {
        "DATA_DIR": str(folder / "data"),
        "REDIS_URL": f"unix://{folder / 'broker.sock'}",
        "JOB_PACKAGES": "bench.chaos.functions",
        "WORKERS": str(workers),
        "PORT": str(web_port or 8000),
        "WEB_CONCURRENCY": "2",
        "RATE_LIMIT": "1000000/second",
        "MAX_ACTIVE_JOBS_PER_USER": "1000000",
        "SHUTDOWN_GRACE": "25",
    }
    own = {name: value for name, value in os.environ.items() if name not in ("ADMIN_API_KEY", "SECRET_KEY")}
    environment = own | given | {"PYTHONPATH": str(ROOT), FOLDER_VARIABLE: str(folder / "traces")}
    settings = Settings.load(**{name.lower(): value for name, value in given.items()})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings, environment


def _broker(settings: Settings, environment: dict[str, str], folder: Path) -> Server:
    """Make the broker, with the embedded broker's configuration and a socket of its own."""
    home = settings.data_dir / "broker"
    home.mkdir(parents=True, exist_ok=True)
    lines = [line for line in configuration(settings).splitlines() if not line.startswith("unixsocket ")]
    config = home / "chaos.conf"
    config.write_text("\n".join([*lines, f"unixsocket {folder / 'broker.sock'}", ""]))
    return Server("broker", [str(find_binary()), str(config)], environment, folder)


def _web_command() -> list[str]:
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.gunicorn_conf"]
    return [*gunicorn, "webapp:create_app()"]


def _age(pid: int) -> float:
    try:
        return time.time() - psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0
