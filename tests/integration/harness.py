"""The harness of the integration tests: it submits and follows jobs, and starts the processes that run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.leases import LEASE_SECONDS
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.errors import BrokerUnavailable
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings
from tests.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
JOB_PACKAGES = "tests.jobs_for_tests"


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status != "Z"


class Harness:
    """Submits jobs as alice, follows them, and starts the processes that run them."""

    def __init__(self, broker: EmbeddedBroker, settings: Settings, stack: ExitStack) -> None:
        self.broker = broker
        self.connection = connection = connect(settings)
        self.settings = settings
        self.catalogue = Catalogue.discover(settings.job_packages)
        self.client = Client(connection, settings, self.catalogue)
        self.store = self.client.store
        self._started: list[subprocess.Popen[bytes]] = []
        stack.callback(connection.close)
        stack.callback(self.end_all)
        self.add_users()

    def add_users(self) -> None:
        for user in ("alice", "bob"):
            self.connection.hset(f"wh:user:{user}", "email", f"{user}@example.com")

    def use(self, **changes: Any) -> None:
        """Submit with other settings from now on."""
        self.client = Client(self.connection, self.settings.model_copy(update=changes), self.catalogue)

    def forget_everything(self) -> None:
        self.connection.flushall()
        self.add_users()

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DATA_DIR": str(self.settings.data_dir),
            "JOB_PACKAGES": ",".join(self.settings.job_packages),
            "WORKERS": str(self.settings.workers),
            "SHUTDOWN_GRACE": str(self.settings.shutdown_grace),
            "MAX_RESULT_BYTES": str(self.settings.max_result_bytes),
            "PYTHONPATH": str(ROOT),
        }

    def submit(self, name: str, *, user_id: str = "alice", options: dict[str, Any] | None = None, **params: Any) -> Job:
        submission = Submission(self.catalogue.find(name), params, user_id, **(options or {}))
        return self.client.submit(submission).job

    def start_workers(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start `worker.py`, and return once its workers have registered."""
        before = self.connection.scard("rq:workers")
        process = self.launch_workers(environment)
        wanted = before + int(environment.get("WORKERS", self.settings.workers))
        eventually(lambda: self.connection.scard("rq:workers") >= wanted, "the workers register")
        return process

    def launch_workers(
        self, environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `worker.py`, and return at once. With `log`, its log is written to this file."""
        with log.open("wb") if log else nullcontext() as stderr:
            process = subprocess.Popen(
                [sys.executable, "worker.py"],
                cwd=ROOT,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def end_all(self) -> None:
        while self._started:
            self.end(self._started.pop())

    def signal_everyone(self, workers: subprocess.Popen[bytes], signum: signal.Signals) -> None:
        """Signal every process at once, as a platform does when it stops a container."""
        for pid in _session(workers.pid):
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue

    def until_signals_are_received(self, workers: subprocess.Popen[bytes]) -> None:
        """Wait until every process has received the signals that were sent to it."""
        eventually(lambda: not any(_signals_are_pending(pid) for pid in _session(workers.pid)), "signals are received")

    def until_leases_have_expired(self, since: float) -> None:
        """Wait until every lease that was prolonged before `since` has expired. `since` is in seconds since 1970."""
        eventually(lambda: time.time() > since + LEASE_SECONDS, "the leases expire")

    def ended_after_outage(self, job: Job) -> Job:
        def ended() -> Job | None:
            try:
                now = self.client.find(job.job_id)
            except BrokerUnavailable:
                return None
            return now if now.status.terminal else None

        found: Job = eventually(ended, "the job ends after the outage")
        return found

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process tree that a test has started. Each process in it dies with its parent."""
        if process.poll() is None:
            process.kill()
        process.wait()
        eventually(lambda: not _session(process.pid), "the process tree ends")

    def until(self, job: Job, condition: Callable[[Job], bool], timeout: float = PATIENCE_SECONDS) -> Job:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            now = self.client.find(job.job_id)
            if condition(now):
                return now
            time.sleep(0.02)
        raise AssertionError(f"not within {timeout:g} s; the job is {self.client.find(job.job_id)}")

    def ended(self, job: Job, timeout: float = PATIENCE_SECONDS) -> Job:
        return self.until(job, lambda now: now.status.terminal, timeout)

    def running(self, job: Job) -> Job:
        return self.until(job, lambda now: now.status == "running")

    def run(self, name: str, **arguments: Any) -> Job:
        return self.ended(self.submit(name, **arguments))

    def worker_pids(self) -> list[int]:
        keys = self.connection.smembers("rq:workers")
        return [int(self.connection.hget(key, "pid") or 0) for key in keys]


def _signals_are_pending(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd")))


def _session(sid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            try:
                if os.getsid(int(entry.name)) == sid:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found
