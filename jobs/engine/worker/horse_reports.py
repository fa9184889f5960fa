"""What a running horse says and prints, and its way into the broker."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

from jobs.engine.author.positions import Reader
from jobs.engine.author.running import LOG_LINE_CHARACTERS
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.store import KEEP_LOG_LINES, Store
from jobs.engine.times import rfc3339

from .zygote import Horse

logger = logging.getLogger("workhorse")

#: How a horse may say that its attempt ended.
ENDINGS = frozenset({"completed", "failed", "cancelled", "later"})
_CHUNK_BYTES = 262_144


class Reports:
    """Takes in what the horse sends until it is written. Progress and positions are coalesced; lines are capped."""

    def __init__(self, horse: Horse, claim: Claim, store: Store) -> None:
        self._horse = horse
        self._claim = claim
        self._store = store
        self._attempt = claim.order.attempt
        #: How the attempt ended, in its own words.
        self.outcome: dict[str, Any] | None = None
        #: When the function last said anything of its progress.
        self.active_at = time.monotonic()
        #: The function waits until its checkpoint is written.
        self.awaited = False
        self._progress: dict[str, Any] | None = None
        self._last_progress: dict[str, Any] | None = None
        self._checkpoint: str | None = None
        self._lines: deque[str] = deque(maxlen=KEEP_LOG_LINES)
        #: What came of a message whose end has not come yet.
        self._inbox: list[bytes] = []
        self._partial: dict[int, bytes] = {}
        self._reader: Reader | None = None
        self._positions: list[int] = []

    @property
    def _pipes(self) -> tuple[tuple[int, str], ...]:
        return (self._horse.stdout, "info"), (self._horse.stderr, "warning")

    # --- hearing ---------------------------------------------------------------------

    def read_channel(self, everything: bool = False) -> bool:
        """Take in what the horse has sent. False: it has closed its end."""
        while True:
            try:
                data = self._horse.channel.recv(_CHUNK_BYTES)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not data:
                return False
            for message in self._whole_lines(data):
                self._hear(message)
            if not everything:
                return True

    def _whole_lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Nothing is gone through twice, however long a line is."""
        first, *others = data.split(b"\n")
        self._inbox.append(first)
        if not others:
            return []
        *between, rest = others
        lines = [b"".join(self._inbox), *between]
        self._inbox = [rest]
        return [line for line in lines if line]

    def _hear(self, line: bytes) -> None:
        """Take in one message. A function may have written to the channel itself, or broken off a message."""
        try:
            self._take_in(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OSError) as error:
            logger.warning("job %s: %d bytes from its horse can't be read: %r", self._claim.job_id, len(line), error)

    def _take_in(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self.active_at = time.monotonic()
            if message["progress"] != self._last_progress:
                self._progress = self._last_progress = message["progress"]
        for at, level, text in message.get("lines", ()):
            self._line(at, level, text)
        if "checkpoint" in message:
            self.active_at = time.monotonic()
            self._checkpoint = message["checkpoint"]
            self.awaited = True
        if "positions" in message:
            self._reader = Reader(message["positions"])
            self._horse.tell({"read": True})
        if self.outcome is None and message.get("outcome", {}).get("kind") in ENDINGS:
            # The first one counts: nothing that comes after it is the attempt's.
            self.outcome = message["outcome"] | {"state": dict(message["outcome"]["state"])}

    def read_pipe(self, pipe: int) -> bool:
        """Take in what the horse has printed. False: nobody can print there any more."""
        try:
            data = os.read(pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._take_lines(pipe, data)
        return bool(data)

    def _take_lines(self, pipe: int, data: bytes) -> None:
        *lines, rest = (self._partial.get(pipe, b"") + data).split(b"\n")
        if len(rest) > LOG_LINE_CHARACTERS:
            lines.append(rest)
            rest = b""
        self._partial[pipe] = rest
        level = dict(self._pipes)[pipe]
        now = time.time()
        for line in lines[-KEEP_LOG_LINES:]:
            self._line(now, level, line.decode("utf-8", "replace"))

    def read_the_rest(self) -> None:
        """Take in what is still on its way from a horse that has ended."""
        self.read_channel(everything=True)
        for pipe, level in self._pipes:
            for _ in range(64):  # a child that it left behind may print for ever
                try:
                    data = os.read(pipe, _CHUNK_BYTES)
                except BlockingIOError:
                    break
                if not data:
                    break
                self._take_lines(pipe, data)
            if rest := self._partial.pop(pipe, b""):
                self._line(time.time(), level, rest.decode("utf-8", "replace"))

    def _line(self, at: float, level: str, text: str) -> None:
        message = text.rstrip("\r\n")[:LOG_LINE_CHARACTERS].encode("utf-8", "replace").decode()
        moment = rfc3339(datetime.fromtimestamp(at, UTC))
        self._lines.append(json.dumps({"at": moment, "attempt": self._attempt, "level": level, "message": message}))

    # --- writing ---------------------------------------------------------------------

    @property
    def last_progress(self) -> dict[str, Any]:
        return self._last_progress or {}

    def has_words(self) -> bool:
        """Something came over the channel or the pipes that is not written yet."""
        return bool(self._progress or self._lines or self._checkpoint is not None)

    def has_news(self) -> bool:
        return self.has_words() or self._new_positions() is not None

    def _new_positions(self) -> list[int] | None:
        counts = self._reader.read() if self._reader is not None else self._positions
        return counts if counts != self._positions else None

    def write(self) -> bool:
        """Write all that is new. False: this execution holds its job no more, and nothing was written.

        Raises redis-py's errors; then everything is still new.
        """
        positions = self._new_positions()
        held = self._store.report(
            self._claim.job_id,
            self._claim.execution,
            progress=self._progress,
            checkpoint=self._checkpoint,
            positions=json.dumps(positions) if positions is not None else None,
            lines=list(self._lines),
        )
        self._positions = positions if positions is not None else self._positions
        self._progress = self._checkpoint = None
        self._lines.clear()
        if held and self.awaited:
            self._horse.tell({"written": True})
        self.awaited = False
        return held

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
