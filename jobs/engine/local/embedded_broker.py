"""The embedded broker: a Valkey server for a machine that has none.

It listens on a unix socket only and keeps an append-only file under `DATA_DIR/broker`. It stops with the process that
started it, and other hosts can't reach it; set REDIS_URL for a broker that does more.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil
import redis

from jobs.engine.broker.connection import UNREACHABLE, connect
from jobs.engine.errors import CannotStart
from jobs.engine.settings import Settings

from .server_binary import find_binary
from .server_config import configuration, environment

#: Loading an append-only file takes about ten seconds per gigabyte.
LOADING_TIMEOUT_SECONDS = 300.0
#: An orderly stop writes and syncs the append-only file.
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.02
RESTART_PAUSE_SECONDS = 0.5


class EmbeddedBroker:
    """One server process, from its start to its stop. It is started again if it dies in between.

    It runs in a session of its own, so that Ctrl-C in a terminal does not reach it before the workers have put their
    jobs back.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None] | None = None) -> None:
        self.settings = settings
        self.folder = settings.data_dir / "broker"
        self._say = say or (lambda sentence: print(sentence, file=sys.stderr, flush=True))
        self._binary = find_binary()
        self._config_path = self.folder / "broker.conf"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None before the start and after the stop."""
        return self._process.pid if self._process else None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, and wait until it has loaded its data and responds.

        Raises:
            CannotStart: another instance uses this DATA_DIR, or the server does not start.
        """
        _make_private(self.folder)
        _make_private(self.settings.broker_socket.parent)
        self._lock = _take_lock(self.folder / "lock", self.settings.data_dir)
        try:
            self._end_orphan()
            self._launch()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name="broker-watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop the server after it has written its data. Does nothing if it is not running."""
        self._stopping.set()
        with self._changing:
            if self._process is not None:
                _end(self._process)
        if self._watcher is not None:
            self._watcher.join()
        self._process = self._watcher = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _end_orphan(self) -> None:
        """End the server of an instance that was killed: two servers would damage the one append-only file.

        It is recognized by its command line, because it may be loading or stopped and then doesn't respond.
        """
        try:
            process = psutil.Process(int((self.folder / "broker.pid").read_text()))
            if str(self._config_path) in process.cmdline():
                _end(process)
        except (OSError, ValueError, psutil.Error):
            pass  # there is no such server

    def _launch(self) -> None:
        self._config_path.touch(mode=0o600)
        self._config_path.write_text(configuration(self.settings))
        self._process = subprocess.Popen(
            [self._binary, self._config_path],
            cwd=self.folder,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        connection = connect(self.settings)
        deadline = time.monotonic() + LOADING_TIMEOUT_SECONDS
        try:
            while not _responds(connection):
                if self._process is None or self._process.poll() is not None:
                    raise CannotStart(f"The embedded broker did not start. {self._last_log_lines()}")
                if time.monotonic() > deadline:
                    raise CannotStart(f"The embedded broker does not respond. {self._last_log_lines()}")
                time.sleep(POLL_SECONDS)
        finally:
            connection.close()

    def _watch(self) -> None:
        while (process := self._process) is not None:
            code = process.wait()
            with self._changing:
                if self._stopping.is_set():
                    return
                self._say(f"The embedded broker died (exit code {code}); starting it again. {self._last_log_lines()}")
                self._launch()
            self._stopping.wait(RESTART_PAUSE_SECONDS)

    def _last_log_lines(self) -> str:
        log = self.folder / "broker.log"
        try:
            lines = log.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            lines = []
        if not lines:
            return f"It has written no log to {log}."
        return "\n  ".join([f"The last lines of its log, {log}:", *lines])


def _make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter.

    Raises:
        CannotStart: it belongs to another user, as a folder in /tmp may.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise CannotStart(f"{folder} belongs to another user; set DATA_DIR to a folder of your own.")
    folder.chmod(stat.S_IRWXU)


def _take_lock(path: Path, data_dir: Path) -> IO[str]:
    """Lock the folder for as long as the returned file is open; the lock ends with its process."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise CannotStart(
            f"{data_dir} is in use by another instance (process {owner}). "
            "Stop that instance, or set DATA_DIR to another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _responds(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except UNREACHABLE:  # also raised while it loads its data
        return False


def _end(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    process.terminate()
    process.send_signal(signal.SIGCONT)  # a stopped process would not receive the SIGTERM yet
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.kill()
        process.wait()
