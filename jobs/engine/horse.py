"""The work horse: a process of its own for one attempt, and the channel between it and its worker.

The horse needs no connection to the broker. It reads its job from a socket, and writes there what it has to say and
how it ended; its worker does the rest. So the horse holds no credentials, a fork costs no handshake, and what an
attempt reports can't overtake how it ended.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

#: What a horse's parent sends to ask its function to stop by itself.
CANCEL_SIGNAL = signal.SIGUSR2


class SocketChannel:
    """The horse's end: one JSON document a line, in both directions."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._writing = threading.Lock()
        self._asking = threading.Lock()

    def read(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            # The worker is gone, and with it everybody who could use what we do.
            os._exit(1)
        return dict(json.loads(line))

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._writing:
            self._connection.sendall(data)

    def ask(self, message: dict[str, Any]) -> None:
        with self._asking:
            self.send(message)
            self.read()


@dataclass(frozen=True)
class Horse:
    """The worker's end: the process, its channel, and what it prints."""

    pid: int
    channel: socket.socket
    #: The read ends of the pipes that are the horse's stdout and stderr.
    stdout: int
    stderr: int
    #: Readable once the process has ended.
    pidfd: int

    @classmethod
    def fork(cls, main: Callable[[SocketChannel], None]) -> Horse:
        """Fork a process that calls `main` with its channel, and ends."""
        ours, theirs = socket.socketpair()
        stdout, child_stdout = os.pipe()
        stderr, child_stderr = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_horse(parent, child_stdout, child_stderr)
            ours.close()
            _run(main, theirs)
        os.setpgid(pid, pid)
        theirs.close()
        os.close(child_stdout)
        os.close(child_stderr)
        for end in (stdout, stderr):
            os.set_blocking(end, False)
        ours.setblocking(False)
        return cls(pid, ours, stdout, stderr, os.pidfd_open(pid))

    def tell(self, message: dict[str, Any]) -> None:
        self.channel.setblocking(True)
        try:
            self.channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # it is dead; its pidfd says so to whoever waits for it
        finally:
            self.channel.setblocking(False)

    def ask_to_stop(self) -> None:
        try:
            os.kill(self.pid, CANCEL_SIGNAL)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        """End the process and everything it started, also in process groups of their own.

        The horse is its descendants' subreaper, so they are all in its tree as long as it lives. It is stopped first:
        what can't run can't fork.
        """
        try:
            process = psutil.Process(self.pid)
            process.suspend()
            family = process.children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._kill_group()
        for relative in family:
            try:
                relative.kill()
            except psutil.NoSuchProcess:
                pass

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def reap(self) -> int:
        """Wait for the process to end, end what it left behind, and give back its wait status."""
        _pid, status = os.waitpid(self.pid, 0)
        self._kill_group()
        return status

    def memory_bytes(self) -> int:
        """Resident memory of the process and all it started."""
        total = 0
        try:
            process = psutil.Process(self.pid)
            for member in [process, *process.children(recursive=True)]:
                try:
                    total += member.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            pass
        return total

    def close(self) -> None:
        self.channel.close()
        for descriptor in (self.stdout, self.stderr, self.pidfd):
            os.close(descriptor)


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the one that forked it ends, however it ends.

    Elsewhere a horse notices when its channel closes: later, and only when it uses it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None, use_errno=True)


def _become_horse(parent: int, stdout: int, stderr: int) -> None:
    die_with_parent(parent)
    adopt_orphans()
    os.setpgid(0, 0)
    # A platform that stops a worker signals every process at once. A handler that does nothing keeps the horse alive
    # until its worker decides; unlike SIG_IGN it is not inherited by the programs that a job starts.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _carry_on)
    signal.set_wakeup_fd(-1)
    random.seed()
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for descriptor in (stdout, stderr, null):
        os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _carry_on(_signum: int, _frame: FrameType | None) -> None:
    return None


def _run(main: Callable[[SocketChannel], None], connection: socket.socket) -> NoReturn:
    channel = SocketChannel(connection)
    code = 1
    try:
        _capture_logging(channel)
        main(channel)
        code = 0
    finally:
        # Whatever happens: never back into the worker's own stack.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code)


class _LogHandler(logging.Handler):
    def __init__(self, channel: SocketChannel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = [record.created, record.levelname.lower(), self.format(record)]
            self._channel.send({"lines": [line]})
        except Exception:  # noqa: BLE001 - logging must not break the function that logs
            self.handleError(record)


def _capture_logging(channel: SocketChannel) -> None:
    """Everything that is logged in a horse belongs to the job: the worker's own handlers go."""
    root = logging.getLogger()
    root.handlers = [_LogHandler(channel)]
    root.setLevel(logging.INFO)
    for name in ("rq.worker", "rq.job", "workhorse"):
        logging.getLogger(name).handlers = []
    logging.lastResort = None
