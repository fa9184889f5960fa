"""The instance of `make run` with real processes: stand-ins for web and worker, and at the end the real ones."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jobs.engine.broker.connection import connect
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings
from tests.loopback import free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

WEB = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""

#: Says good-bye to the broker on SIGTERM.
WORKER = """
import signal, sys, time
from pathlib import Path
from jobs.engine.broker.connection import connect
from jobs.engine.settings import Settings

connection = connect(Settings.load())

def put_back(*_):
    connection.incr("good-byes")
    print("good-bye", flush=True)
    sys.exit(0)

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.signal(signal.SIGTERM, put_back)
connection.incr("starts")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
print("worker is up", flush=True)
while True:
    if Path("chatty").exists():
        print("words " * 1_000, flush=True)
    time.sleep(0.05)
"""

START = """
import sys
from pathlib import Path
from jobs.engine.local.instance import main
sys.exit(main(Path(sys.argv[1])))
"""


class Instance:
    """An instance in a process of its own, and its output."""

    def __init__(self, procfile: Path, settings: Settings, **environment: str) -> None:
        self._printed = procfile.parent / f"printed-{time.monotonic_ns()}"
        with self._printed.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(procfile)],
                env=os.environ
                | {"PORT": str(settings.port), "DATA_DIR": str(settings.data_dir), "PYTHONPATH": str(ROOT)}
                | environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def wait_until_ready(self) -> None:
        eventually(lambda: "is ready" in self.printed and "worker is up" in self.printed, "the instance is up")

    def ends(self) -> int:
        return self.process.wait(75)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", port=free_port(), redis_url=None)


@pytest.fixture
def procfile(tmp_path: Path) -> Path:
    (tmp_path / "web.py").write_text(WEB)
    (tmp_path / "worker.py").write_text(WORKER)
    path = tmp_path / "Procfile"
    path.write_text("web: python web.py\nworker: python worker.py\nrelease: python nothing_of_the_kind.py\n")
    return path


@pytest.fixture
def start(procfile: Path, settings: Settings) -> Iterator[Callable[..., Instance]]:
    started: list[Instance] = []

    def starter(**environment: str) -> Instance:
        started.append(Instance(procfile, settings, **environment))
        return started[-1]

    yield starter
    for instance in started:
        instance.process.terminate()
        instance.process.wait(75)


def descendants(instance: Instance) -> list[psutil.Process]:
    return psutil.Process(instance.process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def counted(settings: Settings, name: str) -> int:
    with EmbeddedBroker(settings), connect(settings) as connection:
        return int(connection.get(name) or 0)


def test_the_instance_prints_its_address_a_sign_in_link_and_the_key(
    start: Callable[..., Instance], settings: Settings
) -> None:
    instance = start()
    instance.wait_until_ready()
    address = f"http://127.0.0.1:{settings.port}"
    assert address in instance.printed
    assert re.search(rf"{address}/sign-in\?token=[\w-]{{20,}}", instance.printed)
    key = settings.data_dir / "admin_api_key"
    assert f"{key.read_text()} (shown only once; stored in {key})" in instance.printed


def test_a_weak_key_is_used_with_a_warning(start: Callable[..., Instance], settings: Settings) -> None:
    instance = start(ADMIN_API_KEY="my little key")
    instance.wait_until_ready()
    assert "WARNING: ADMIN_API_KEY has only 13 characters" in instance.printed
    assert "the value of ADMIN_API_KEY" in instance.printed and "my little key" not in instance.printed


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_requested_stop_ends_the_broker_last_and_succeeds(
    start: Callable[..., Instance], settings: Settings, how: signal.Signals
) -> None:
    instance = start()
    instance.wait_until_ready()
    processes = descendants(instance)
    # As in a terminal: the whole foreground group gets the signal.
    os.killpg(instance.process.pid, how)
    assert instance.ends() == 0
    assert alive(processes) == []
    assert "| good-bye\n" in instance.printed
    assert counted(settings, "good-byes") == 1


def test_ctrl_c_while_the_processes_are_started_ends_them(start: Callable[..., Instance]) -> None:
    instance = start()

    def begins() -> bool:
        assert instance.process.poll() is None
        # The broker, and a process that has just been forked.
        return len({each.name() for each in descendants(instance)}) > 1

    def ends_when_pressed_again() -> bool:
        with suppress(ProcessLookupError):
            os.killpg(instance.process.pid, signal.SIGINT)
        return instance.process.poll() is not None

    eventually(begins, "the first process is forked")
    eventually(ends_when_pressed_again, "it ends")
    # The last Ctrl-C may have reached Python when its work was done.
    assert instance.ends() in (0, -signal.SIGINT)


def test_the_next_start_continues_where_the_last_one_stopped_and_does_not_show_the_key_again(
    start: Callable[..., Instance], settings: Settings
) -> None:
    for _ in range(2):
        instance = start()
        instance.wait_until_ready()
        instance.process.send_signal(signal.SIGINT)
        assert instance.ends() == 0
    assert counted(settings, "starts") == 2
    key = settings.data_dir / "admin_api_key"
    assert str(key) in instance.printed
    assert key.read_text() not in instance.printed


def test_a_process_that_ends_by_itself_stops_everything_and_fails(
    start: Callable[..., Instance], procfile: Path, settings: Settings
) -> None:
    (procfile.parent / "web.py").write_text("import sys; sys.exit(7)")
    instance = start()
    assert instance.ends() == 7
    assert "web stopped (rc=7)" in instance.printed
    assert counted(settings, "good-byes") == counted(settings, "starts")


def test_a_busy_port_is_reported_in_a_sentence_before_anything_starts(
    start: Callable[..., Instance], settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        instance = start()
        assert instance.ends() == 1
    assert f"make run PORT={settings.port + 1}" in instance.printed
    assert "Traceback" not in instance.printed
    assert not settings.data_dir.exists()


def test_an_invalid_setting_is_reported_in_a_sentence(start: Callable[..., Instance]) -> None:
    instance = start(RATE_LIMIT="often")
    assert instance.ends() == 1
    assert "RATE_LIMIT='often'" in instance.printed
    assert "Traceback" not in instance.printed


def test_two_instances_cannot_share_their_data(
    start: Callable[..., Instance], settings: Settings, procfile: Path
) -> None:
    first = start()
    first.wait_until_ready()
    second = start(PORT=str(free_port()))
    assert second.ends() == 1
    assert f"in use by another instance (process {first.process.pid})" in second.printed


def test_the_broker_of_redis_url_is_used_and_left_running(
    start: Callable[..., Instance], settings: Settings, tmp_path: Path
) -> None:
    theirs = Settings(data_dir=tmp_path / "theirs", redis_url=None)
    with EmbeddedBroker(theirs), connect(theirs) as connection:
        connection.config_set("maxmemory-policy", "allkeys-lru")
        instance = start(REDIS_URL=theirs.broker_url)
        instance.wait_until_ready()
        assert "WARNING" in instance.printed
        instance.process.terminate()
        assert instance.ends() == 0
        assert connection.get("good-byes") == b"1"
    assert not (settings.data_dir / "broker").exists()


def test_an_unreachable_broker_is_reported_in_a_sentence(start: Callable[..., Instance]) -> None:
    instance = start(REDIS_URL="redis://127.0.0.1:9")
    assert instance.ends() == 1
    assert "can't be reached" in instance.printed
    assert "Traceback" not in instance.printed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_after_a_kill_9_the_port_is_free_and_the_next_start_works(start: Callable[..., Instance]) -> None:
    killed = start()
    killed.wait_until_ready()
    processes = [each for each in descendants(killed) if "valkey" not in each.name()]
    killed.process.kill()
    killed.process.wait()
    eventually(lambda: not alive(processes), "its processes end")
    second = start()
    second.wait_until_ready()
    assert second.process.poll() is None


@pytest.fixture
def piped(procfile: Path, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """An instance whose output goes to a pipe, once it is up."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(procfile)],
        env=os.environ | {"PORT": str(settings.port), "DATA_DIR": str(settings.data_dir), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        while "worker is up" not in process.stdout.readline():
            assert process.poll() is None
        yield process
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []:
            each.kill()
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_instance_stops_in_order_after_its_output_is_closed(
    piped: subprocess.Popen[str], settings: Settings
) -> None:
    assert piped.stdout is not None
    piped.stdout.close()
    piped.terminate()
    assert piped.wait(75) == 0
    assert counted(settings, "good-byes") == 1


def test_the_instance_stops_in_order_while_its_output_is_not_read(
    procfile: Path, piped: subprocess.Popen[str], settings: Settings
) -> None:
    (procfile.parent / "chatty").touch()
    eventually(lambda: pipe_is_full(piped), "the pipe is full")
    piped.terminate()
    assert piped.wait(75) == 0
    assert counted(settings, "good-byes") == 1


def pipe_is_full(process: subprocess.Popen[str]) -> bool:
    """Return True if the process can't write to its output without blocking."""
    assert process.stdout is not None
    writer = os.open(f"/proc/{process.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [writer], [], 0)[1]
    finally:
        os.close(writer)


def test_the_demo_starts_an_instance_runs_real_jobs_and_stops_it(settings: Settings) -> None:
    tour = subprocess.run(
        [sys.executable, "-m", "demo"],
        env=os.environ | {"PORT": str(settings.port), "DATA_DIR": str(settings.data_dir), "WORKERS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert tour.returncode == 0, tour.stdout + tour.stderr
    assert "9 of 9 jobs completed" in tour.stdout
    assert "[##############################] 100 %" in tour.stdout
    with socket.create_server(("127.0.0.1", settings.port)):
        pass  # nothing is left on the port
