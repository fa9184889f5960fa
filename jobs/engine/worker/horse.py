"""The work horse: a process of its own for one attempt, as it sees itself.

It has no connection to the broker. It reads its job from a socket, and writes its reports and its ending there; the
worker does the rest. So the horse holds no credentials, a fork costs no handshake, and a report can't overtake the
ending.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from jobs.engine.author.running import LOG_LINE_CHARACTERS
from jobs.engine.processes import die_with_parent

from .at_fork import fork_hooks

#: What a worker sends to ask the function to stop by itself.
CANCEL_SIGNAL = signal.SIGUSR2
CHUNK_BYTES = 65_536


class SocketChannel:
    """The horse's end of the channel: one JSON document a line, in both directions."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox = b""
        self._writing = threading.Lock()
        self._asking = threading.Lock()

    def read(self) -> dict[str, Any]:
        # Not a buffered file: making one touches pages that every fork would copy.
        while b"\n" not in self._inbox:
            data = self._connection.recv(CHUNK_BYTES)
            if not data:
                # The worker is gone, and nobody else can use the result.
                os._exit(1)
            self._inbox += data
        line, self._inbox = self._inbox.split(b"\n", 1)
        return dict(json.loads(line))

    def send(self, message: dict[str, Any]) -> None:
        # A line break at both ends: a signal may have interrupted the line before.
        data = b"\n" + json.dumps(message).encode() + b"\n"
        with self._writing:
            self._connection.sendall(data)

    def ask(self, message: dict[str, Any]) -> None:
        with self._asking:
            self.send(message)
            self.read()


_channel: SocketChannel | None = None


def become_horse(
    main: Callable[[SocketChannel], None], parent: int, channel: socket.socket, stdout: int, stderr: int
) -> NoReturn:
    """Turn this freshly forked process into a horse that calls `main` with its channel, and ends.

    It does as little as possible: every page that is written here is copied for each job.
    """
    global _channel
    code = 1
    try:
        die_with_parent(parent)
        fork_hooks.restore()
        os.setpgid(0, 0)
        for source, target in ((stdout, 1), (stderr, 2)):
            os.dup2(source, target)
            os.close(source)
        _channel = SocketChannel(channel)
        main(_channel)
        code = 0
    finally:
        # Whatever happens, never return into the stack of the process that was forked.
        os._exit(code)


def flush_output() -> None:
    """Write out what the function has printed, before its ending is reported."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # the function has closed it


def ignore_stop_signals() -> None:
    """Ignore SIGTERM and SIGINT, which a platform sends to every process at once: the worker ends its processes itself.

    A handler that does nothing, unlike SIG_IGN, is not inherited by the programs that a job starts.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _do_nothing)


def _do_nothing(_signum: int, _frame: FrameType | None) -> None:
    return None


def prepare_output() -> None:
    """Send what horses print and log to their jobs. Called in the zygote, which they are copies of.

    stdout and stderr are written line by line to descriptors 1 and 2. Everything logged goes to the job: the worker's
    own handlers are removed.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout, sys.stderr = _line_by_line(1), _line_by_line(2)
    root = logging.getLogger()
    root.handlers = [_LogHandler()]
    root.setLevel(logging.INFO)
    for name in ("rq.worker", "rq.job", "workhorse"):
        logging.getLogger(name).handlers = []


def _line_by_line(descriptor: int) -> Any:
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class _LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _channel is None:
            sys.stderr.write(self.format(record) + "\n")
            return
        try:
            text = self.format(record)[:LOG_LINE_CHARACTERS]
            _channel.send({"lines": [[record.created, record.levelname.lower(), text]]})
        except Exception:  # noqa: BLE001 - logging must not break the function that logs
            self.handleError(record)
