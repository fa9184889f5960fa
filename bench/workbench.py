"""The resources that all rows share: one broker, a folder, and processes that end with the run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import redis

from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings

from .environments import ROOT, python

JOB_PACKAGES = "bench.functions"
USER = "ada"
NO_LIMIT = 100_000_000
PATIENCE_SECONDS = 60.0


#: The database in which Celery keeps its results, so that they can be counted.
RESULTS_DATABASE = 14


class NotMeasured(Exception):
    """A contender did not do its work, so there is no measurement."""


@dataclass(frozen=True)
class Effort:
    """The size of a run."""

    rounds: int
    #: The length of one sample of a rate.
    seconds: float
    #: The number of submissions in one sample of a latency.
    submissions: int
    #: The number of pending jobs in the rows about a long queue.
    backlog: int
    turns: int


FULL = Effort(rounds=5, seconds=4.0, submissions=60, backlog=1_000_000, turns=10_000_000)
QUICK = Effort(rounds=1, seconds=1.0, submissions=10, backlog=50_000, turns=1_000_000)


@dataclass(frozen=True)
class Started:
    """A running process, and the file that has its output."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def must_run(self, cause: Exception | None = None) -> None:
        """Check that the process has not ended.

        Raises:
            NotMeasured: it has. The message has the end of its output.
        """
        if self.process.poll() is not None:
            raise NotMeasured(f"{self.process.args!r} ended unexpectedly: {self.output()[-800:]}") from cause


@dataclass(eq=False)
class Workbench:
    effort: Effort
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bench-")))
    broker: EmbeddedBroker = field(init=False)
    _connections: dict[int, redis.Redis] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Workbench:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.broker = self._stack.enter_context(EmbeddedBroker(self.settings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- the broker -----------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        return self._settings(None)

    def _settings(self, redis_url: str | None) -> Settings:
        return Settings(
            data_dir=self.folder,
            redis_url=redis_url,
            job_packages=(JOB_PACKAGES,),
            workers=1,
            max_active_jobs_per_user=NO_LIMIT,
            rate_limit=f"{NO_LIMIT}/second",
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.discover((JOB_PACKAGES,))

    def broker_url(self, database: int) -> str:
        """Return the URL of a database. All contenders use one server."""
        return f"unix://{self.settings.broker_socket}?db={database}"

    def connection(self, database: int = 0) -> redis.Redis:
        """Return the connection to a database. It is opened once: some are asked a hundred times a second."""
        if database not in self._connections:
            settings = self._settings(self.broker_url(database))
            self._connections[database] = connect(settings, timeout_seconds=PATIENCE_SECONDS)
        return self._connections[database]

    def client(self, database: int = 0) -> Client:
        """Empty a database, add one user, and return a client of this project for it."""
        connection = self.connection(database)
        connection.flushdb()
        connection.hset(f"wh:user:{USER}", mapping={"email": "ada@example.com", "roles": "user"})
        return Client(connection, self.settings, self.catalogue)

    # --- processes --------------------------------------------------------------------

    def environment(self, database: int = 0, **more: str) -> dict[str, str]:
        """Return the environment of this project's processes."""
        return self.peer_environment(database) | {
            "REDIS_URL": self.broker_url(database),
            "DATA_DIR": str(self.folder),
            "JOB_PACKAGES": JOB_PACKAGES,
            "WORKERS": "1",
            "WEB_CONCURRENCY": "1",
            "RATE_LIMIT": f"{NO_LIMIT}/second",
            "MAX_ACTIVE_JOBS_PER_USER": str(NO_LIMIT),
            **more,
        }

    def peer_environment(self, database: int = 0, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {"BENCH_BROKER": self.broker_url(database), "BENCH_RESULTS": self.broker_url(RESULTS_DATABASE)}
        return kept | {"PYTHONPATH": str(ROOT), **own, **more}

    @contextmanager
    def running(self, command: list[Any], environment: dict[str, str], folder: Path = ROOT) -> Iterator[Started]:
        """Run a process in `folder` and in a session of its own. Kill it and all that it has started at the end."""
        log = self.folder / f"{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(process, log)
        try:
            yield started
        except Exception as error:
            # If the process has ended, that is the cause of the error.
            started.must_run(error)
            raise
        else:
            started.must_run()
        finally:
            _end(process)

    def peer(self, environment: str, module: str, *arguments: object, database: int = 0) -> str:
        """Run a module in a peer's environment, and return its output."""
        done = subprocess.run(
            [python(environment), "-m", f"bench.peers.{module}", *(str(each) for each in arguments)],
            cwd=ROOT,
            env=self.peer_environment(database),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotMeasured(f"{module} {arguments}: {done.stderr[-800:]}")
        return done.stdout

    @contextmanager
    def workers(self, number: int = 1, heap_megabytes: int = 0, packages: str = JOB_PACKAGES) -> Iterator[Started]:
        """Run this project's workers, with the job types of these packages."""
        connection = self.connection()
        connection.delete("rq:workers")
        environment = self.environment(WORKERS=str(number), BENCH_HEAP_MB=str(heap_megabytes), JOB_PACKAGES=packages)
        with self.running([sys.executable, "worker.py"], environment) as started:
            yield started


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, all processes in its session, and all its descendants, which may have sessions of their own."""
    descendants = tree(process.pid)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for each in descendants:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(descendants, PATIENCE_SECONDS)
    until(lambda: not _session(process.pid), f"the end of session {process.pid}")


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants. The list is empty if the process has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            session, state = os.getsid(int(entry.name)), (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            continue
        if session == leader and state != "Z":
            found.append(int(entry.name))
            os.kill(int(entry.name), signal.SIGKILL)
    return found


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> None:
    """Wait for a condition.

    Raises:
        NotMeasured: if it does not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotMeasured(f"waited {seconds:g} s for {what}")
        time.sleep(pause)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
