"""The reports of a running horse, on their way into the broker."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from jobs.engine.author.positions import Reader
from jobs.engine.author.reporting import Progress
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.store import Store

from .ending import Ending
from .horse_handle import Horse
from .log_lines import LogLines
from .verdict import Verdict

logger = logging.getLogger("workhorse")

_CHUNK_BYTES = 262_144
#: Chunks that are read from a pipe whose horse has ended: a child that it left behind may print forever.
_LAST_CHUNKS = 64


class Reports:
    """What a horse has sent and printed, until it is written. Progress and positions are coalesced."""

    def __init__(self, horse: Horse, claim: Claim, store: Store) -> None:
        self._horse = horse
        self._claim = claim
        self._store = store
        #: How the attempt ended, as the horse reported it.
        self.ending: Ending | None = None
        #: When the function last reported progress or saved its checkpoint.
        self.active_at = time.monotonic()
        #: The function waits until its checkpoint is written.
        self.checkpoint_awaited = False
        self._progress: Progress | None = None
        self._progress_is_new = False
        self._checkpoint: str | None = None
        self._lines = LogLines(claim.order.attempt)
        self._reader: Reader | None = None
        self._positions: list[int] = []
        self._levels = {horse.stdout: "info", horse.stderr: "warning"}

    # --- reading -------------------------------------------------------------------

    def read_channel(self, everything: bool = False) -> bool:
        """Read what the horse has sent. Return False if it has closed its end."""
        while True:
            try:
                lines = self._horse.receive()
            except BlockingIOError:
                return True
            if lines is None:
                return False
            for line in lines:
                self._read_message(line)
            if not everything:
                return True

    def _read_message(self, line: bytes) -> None:
        """Read one message. A function may have written to the channel itself, or interrupted a message."""
        try:
            self._take(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OSError) as error:
            logger.warning(
                "job %s: ignored %d bytes from its horse, which are not a message: %r",
                self._claim.job_id,
                len(line),
                error,
            )

    def _take(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self._take_progress(Progress.from_meta(message["progress"]))
        for at, level, text in message.get("lines", ()):
            self._lines.add(at, level, text)
        if "checkpoint" in message:
            self.active_at = time.monotonic()
            self._checkpoint = message["checkpoint"]
            self.checkpoint_awaited = True
        if "positions" in message:
            self._reader = Reader(message["positions"])
            self._horse.send({"read": True})
        if "ending" in message and self.ending is None:
            # The first one counts: nothing that comes after it belongs to the attempt.
            self.ending = Ending.from_message(message["ending"])
        if "verdict" in message and self.ending is not None:
            self._horse.verdict = Verdict.from_message(message["verdict"])

    def _take_progress(self, progress: Progress) -> None:
        self.active_at = time.monotonic()
        if progress != self._progress:
            self._progress = progress
            self._progress_is_new = True

    def read_pipe(self, pipe: int) -> bool:
        """Read what the horse has printed. Return False if no process can print there any longer."""
        try:
            data = os.read(pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._lines.add_output(self._levels[pipe], data)
        return bool(data)

    def read_the_rest(self) -> None:
        """Read what is left in the channel and the pipes of a horse that has ended."""
        ready = self._horse.readable(0)
        if self._horse.channel.fileno() in ready:
            self.read_channel(everything=True)
        for pipe, level in self._levels.items():
            if pipe in ready:
                self._read_rest_of_pipe(pipe, level)
            self._lines.end_output(level)

    def _read_rest_of_pipe(self, pipe: int, level: str) -> None:
        for _ in range(_LAST_CHUNKS):
            try:
                data = os.read(pipe, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self._lines.add_output(level, data)

    @property
    def progress(self) -> Progress:
        """The last one that this execution reported, or the one that it started with."""
        return self._progress or Progress.from_meta(self._claim.order.meta)

    # --- writing -------------------------------------------------------------------

    def has_messages(self) -> bool:
        """Return True if something from the channel or the pipes is not written yet."""
        return self._progress_is_new or bool(self._lines) or self._checkpoint is not None

    def has_news(self) -> bool:
        """Return True if anything is not written yet, positions of loops included."""
        return self.has_messages() or self._new_positions() is not None

    def _new_positions(self) -> list[int] | None:
        counts = self._reader.read() if self._reader is not None else self._positions
        return counts if counts != self._positions else None

    def write(self) -> bool:
        """Write everything new. Return False if this execution no longer holds its job; then nothing was written.

        Raises redis-py's errors; then everything is still new.
        """
        positions = self._new_positions()
        held = self._store.report(
            self._claim.job_id,
            self._claim.execution,
            progress=self.progress.as_meta() if self._progress_is_new else None,
            checkpoint=self._checkpoint,
            positions=json.dumps(positions) if positions is not None else None,
            lines=self._lines.waiting(),
        )
        self._positions = positions if positions is not None else self._positions
        self._progress_is_new, self._checkpoint = False, None
        self._lines.clear()
        if held and self.checkpoint_awaited:
            self._horse.send({"written": True})
        self.checkpoint_awaited = False
        return held

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
