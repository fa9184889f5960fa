"""The lines of a job's log, from what its processes print, as the broker keeps them."""

from __future__ import annotations

import json
import time
from collections import deque
from datetime import UTC, datetime

from jobs.engine.author.running import LOG_LINE_CHARACTERS
from jobs.engine.broker.store.history import LogLine
from jobs.engine.broker.store.worker_steps import KEEP_LOG_LINES
from jobs.engine.times import rfc3339


class LogLines:
    """Lines that are not written to the broker yet: the newest, each up to its limit."""

    def __init__(self, attempt: int) -> None:
        self._attempt = attempt
        self._lines: deque[str] = deque(maxlen=KEEP_LOG_LINES)
        #: By level, the beginning of a line whose end has not come yet.
        self._partial: dict[str, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def waiting(self) -> list[str]:
        return list(self._lines)

    def clear(self) -> None:
        self._lines.clear()

    def add(self, at: float, level: str, text: str) -> None:
        """Add one line, with its time in seconds since 1970."""
        message = text.rstrip("\r\n")[:LOG_LINE_CHARACTERS].encode("utf-8", "replace").decode()
        moment = rfc3339(datetime.fromtimestamp(at, UTC))
        line: LogLine = {"at": moment, "attempt": self._attempt, "level": level, "message": message}
        self._lines.append(json.dumps(line))

    def add_output(self, level: str, data: bytes) -> None:
        """Add what a process printed. An unfinished line waits for its end, unless it is over the limit."""
        *lines, rest = (self._partial.get(level, b"") + data).split(b"\n")
        if len(rest) > LOG_LINE_CHARACTERS:
            lines.append(rest)
            rest = b""
        self._partial[level] = rest
        now = time.time()
        for line in lines[-KEEP_LOG_LINES:]:
            self.add(now, level, line.decode("utf-8", "replace"))

    def end_output(self, level: str) -> None:
        """Add the unfinished line, if there is one."""
        if rest := self._partial.pop(level, b""):
            self.add(time.time(), level, rest.decode("utf-8", "replace"))
