"""Measure how soon many watchers of many jobs get updates from one web process, and how this affects other requests.

    python -m bench.streams [--watchers 2000] [--jobs 200] [--rate 5] [--seconds 30]

The script starts a broker and one web process. It holds the jobs itself and reports their progress in the same atomic
steps as a worker, so that only the streams are measured. Each progress message contains the time of its report, on the
monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings

from .workbench import free_port

ROOT = Path(__file__).resolve().parents[1]
MARK = b'"progress_message": "'
POLL_SECONDS = 0.02
CONNECT_AT_ONCE = 50
PATIENCE_SECONDS = 60


@dataclass
class Watched:
    """The updates that a process of watchers has received."""

    updates: int = 0
    completed: int = 0
    versions_that_went_back: int = 0
    seconds: list[float] = field(default_factory=list)


class Watcher:
    """A raw HTTP client of a stream."""

    def __init__(self, port: int, path: str, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        self.rest = b""
        self.version = 0
        self.done = False

    def wait_for_answer(self) -> None:
        self.socket.settimeout(PATIENCE_SECONDS)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(1 << 18)
        status, self.rest = self.rest.split(b"\r\n\r\n", 1)
        if not status.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"A stream was refused: {status[:80]!r}")
        self.socket.setblocking(False)

    def read(self, seen: Watched) -> None:
        data = self.socket.recv(1 << 18)
        now = time.monotonic()
        *events, self.rest = (self.rest + data).split(b"\n\n")
        for event in events:
            self._take(event, now, seen)
        if not data and not self.done:
            self.done = True
            print(f"a stream ended early, with {self.rest[-300:]!r}", file=sys.stderr)

    def _take(self, event: bytes, now: float, seen: Watched) -> None:
        place = event.find(b"id: ")
        if place < 0:
            return
        version = int(event[place + 4 : event.index(b"\n", place)])
        seen.versions_that_went_back += version <= self.version
        self.version = version
        if b"event: complete" in event:
            seen.completed += 1
            self.done = True
            return
        seen.updates += 1
        place = event.find(MARK)
        if place > 0:
            start = place + len(MARK)
            seen.seconds.append(now - float(event[start : event.index(b'"', start)]))


def watch(port: int, key: str, paths: list[str], report: Connection) -> None:
    """Follow one stream for each path, until all jobs have completed or the parent ends it."""
    seen = Watched()
    selector = selectors.DefaultSelector()
    for start in range(0, len(paths), CONNECT_AT_ONCE):
        watchers = [Watcher(port, path, key) for path in paths[start : start + CONNECT_AT_ONCE]]
        for watcher in watchers:
            watcher.wait_for_answer()
            selector.register(watcher.socket, selectors.EVENT_READ, watcher)
    report.send("connected")
    open_streams = len(paths)
    while open_streams and not report.poll():
        for ready, _ in selector.select(0.5):
            watcher = ready.data
            watcher.read(seen)
            if watcher.done:
                selector.unregister(watcher.socket)
                watcher.socket.close()
                open_streams -= 1
    report.send(seen)


def poll(port: int, key: str, path: str, over: threading.Event, seconds: list[float]) -> None:
    """Poll a job on one connection, as any client does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not over.is_set():
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"A poll returned {answer.status}.")
        seconds.append(time.monotonic() - began)
        time.sleep(POLL_SECONDS)


def emit(settings: Settings, executions: dict[str, str], rate: float, seconds: float) -> None:
    """Report the progress of each job `rate` times a second, evenly spread. Then end all jobs."""
    store = Client(connect(settings), settings, Catalogue()).store
    job_ids = list(executions)
    began = time.monotonic()
    total = int(len(job_ids) * rate * seconds)
    for count in range(total):
        due = began + count / (len(job_ids) * rate)
        time.sleep(max(0.0, due - time.monotonic()))
        progress = {"progress": 100.0 * count / total, "progress_message": f"{time.monotonic():.6f}"}
        job_id = job_ids[count % len(job_ids)]
        store.report(job_id, executions[job_id], progress=progress)
    late = time.monotonic() - began - seconds
    for job_id in job_ids:
        outcome = Outcome(OutcomeKind.COMPLETED, result="bnVsbA==")
        store.finish(job_id, executions[job_id], executions[job_id], outcome)
    print(f"reported {total} times in {seconds + late:.1f} s", file=sys.stderr)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1_000


def start_web(settings: Settings, watchers: int) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    environment = os.environ | {
        "PORT": str(settings.port),
        "DATA_DIR": str(settings.data_dir),
        "MAX_STREAMS": str(watchers + 10),
        "RATE_LIMIT": "100000/second",
        "WEB_CONCURRENCY": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.gunicorn_conf", "webapp:create_app()"]
    web = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return web, psutil.Process(web.pid).children()[0]
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The web process does not respond.")


def hold_jobs(client: Client, count: int) -> dict[str, str]:
    """Submit and claim jobs, as workers do. Return the execution of each job, which is also its worker's name."""
    job_type = client.catalogue.find("reverse-text" if "reverse-text" in client.catalogue else min(client.catalogue))
    for _ in range(count):
        client.submit(Submission(job_type, {}, "bench"))
    executions = {}
    for number in range(count):
        claim = client.store.claim(f"bench-{number}", f"bench-{number}", ["high", "default", "low"])
        assert isinstance(claim, Claim)
        executions[claim.job_id] = claim.execution
    return executions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=2_000)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5.0, help="reports of each job a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), port=free_port(), redis_url=None, max_active_jobs_per_user=1_000_000)
        with EmbeddedBroker(settings):
            measure(settings, chosen)


def measure(settings: Settings, chosen: argparse.Namespace) -> None:
    connection = connect(settings)
    accounts = Accounts(connection, settings)
    accounts.register("bench", "bench@example.com", "correct horse")
    key = accounts.create_key("bench", "bench")[1]
    client = Client(connection, settings, Catalogue.discover(settings.job_packages))
    web, process = start_web(settings, chosen.watchers)
    try:
        executions = hold_jobs(client, chosen.jobs)
        job_ids = list(executions)
        poll(settings.port, key, f"/api/v1/jobs/{job_ids[0]}", _Countdown(50), [])
        memory, threads = process.memory_info().rss, process.num_threads()
        paths = [f"/api/v1/jobs/{job_ids[place % len(job_ids)]}/stream" for place in range(chosen.watchers)]
        ours, theirs = multiprocessing.Pipe()
        watchers = multiprocessing.Process(target=watch, args=(settings.port, key, paths, theirs))
        watchers.start()
        ours.recv()
        held = process.memory_info().rss
        polls: list[float] = []
        over = threading.Event()
        poller = threading.Thread(
            target=poll, args=(settings.port, key, f"/api/v1/jobs/{job_ids[0]}", over, polls), daemon=True
        )
        poller.start()
        used = process.cpu_times()
        emitter = multiprocessing.Process(target=emit, args=(settings, executions, chosen.rate, chosen.seconds))
        emitter.start()
        emitter.join()
        now = process.cpu_times()
        busy = (now.user + now.system - used.user - used.system) / chosen.seconds
        if not ours.poll(PATIENCE_SECONDS):
            ours.send("enough")
        seen: Watched = ours.recv()
        most_threads = process.num_threads()
        over.set()
        poller.join()
        show(
            chosen,
            seen,
            polls,
            busy,
            (held - memory) / chosen.watchers,
            process.memory_info().rss,
            threads,
            most_threads,
        )
    finally:
        web.terminate()
        web.wait()


class _Countdown(threading.Event):
    """An event that is set after it was checked `looks` times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def show(
    chosen: argparse.Namespace,
    seen: Watched,
    polls: list[float],
    busy: float,
    bytes_each: float,
    memory: int,
    threads_before: int,
    threads: int,
) -> None:
    reported = chosen.rate * chosen.seconds * chosen.watchers
    rows = {
        "watchers, jobs, reports of each a second": f"{chosen.watchers}, {chosen.jobs}, {chosen.rate:g}",
        "watchers that saw the end of their job": f"{seen.completed} of {chosen.watchers}",
        "versions that went back or were repeated": str(seen.versions_that_went_back),
        "updates received, of those reported": f"{seen.updates} ({seen.updates / reported:.1%})",
        "report to client, p50": f"{percentile(seen.seconds, 0.5):.0f} ms",
        "report to client, p99": f"{percentile(seen.seconds, 0.99):.0f} ms",
        "report to client, longest": f"{max(seen.seconds) * 1_000:.0f} ms",
        "plain poll meanwhile, p50": f"{percentile(polls, 0.5):.1f} ms",
        "plain poll meanwhile, p99": f"{percentile(polls, 0.99):.1f} ms ({len(polls)} polls)",
        "memory of the web process for each watcher": f"{bytes_each / 1_024:.0f} KiB ({memory >> 20} MiB in all)",
        "threads of the web process, before and at the end": f"{threads_before}, {threads}",
        "processor time of the web process": f"{busy:.0%} of one core",
        "machine": f"{os.cpu_count()} cores, Python {sys.version.split()[0]}",
    }
    print("| what | measured |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
