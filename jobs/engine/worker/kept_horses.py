"""The work horses that wait for another job of a type with `reuse`, after they have served one."""

from __future__ import annotations

import json
import logging
import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass

from .horse_handle import Horse
from .verdict import Verdict
from .zygote import Zygote

logger = logging.getLogger("workhorse")

#: Horses that one worker keeps, each for another job type: they hold the memory that their attempts have left.
MAX_KEPT = 2
#: Seconds without a job after which a horse is retired.
IDLE_SECONDS = 60.0
#: Seconds that a job waits for the verdict of the kept horse. After that it gets a new one.
VERDICT_SECONDS = 0.5

_CHUNK_BYTES = 65_536
_LATE = Verdict(f"its check took longer than {VERDICT_SECONDS:g} s")
_ENDED = Verdict("its process has ended")


@dataclass
class _Kept:
    horse: Horse
    zygote: Zygote
    #: In the seconds of `time.monotonic`.
    since: float


class KeptHorses:
    def __init__(self) -> None:
        #: By job type; the one that was kept first comes first.
        self._kept: dict[str, _Kept] = {}

    def keep(self, job_type: str, horse: Horse, zygote: Zygote) -> None:
        """Keep a horse that has reported the ending of its attempt. It checks itself meanwhile."""
        if len(self._kept) >= MAX_KEPT:
            self._retire(next(iter(self._kept)), "horses of other job types are kept")
        horse.idle = True
        self._kept[job_type] = _Kept(horse, zygote, time.monotonic())

    def take(self, job_type: str) -> Horse | None:
        """Return the horse that is kept for a job type, or None if none may serve another attempt."""
        kept = self._kept.get(job_type)
        if kept is None:
            return None
        verdict = _verdict(kept.horse, VERDICT_SECONDS) or _LATE
        if verdict.reason:
            self._retire(job_type, verdict.reason)
            return None
        del self._kept[job_type]
        horse = kept.horse
        _drop_output(horse)
        horse.idle, horse.verdict, horse.carried_bytes = False, None, verdict.carried_bytes
        return horse

    def look_after(self) -> None:
        """Retire the horses that are unfit or have had no job for too long, without waiting."""
        now = time.monotonic()
        for job_type, kept in list(self._kept.items()):
            verdict = _verdict(kept.horse, 0.0)
            if verdict is not None and verdict.reason:
                self._retire(job_type, verdict.reason)
            elif kept.horse.status is not None:
                self._retire(job_type, _ENDED.reason)
            elif now - kept.since > IDLE_SECONDS:
                self._retire(job_type, f"it had no job for {IDLE_SECONDS:g} s")

    def drop(self, zygote: Zygote) -> None:
        """Retire the horses of a zygote, which is about to end."""
        for job_type, kept in list(self._kept.items()):
            if kept.zygote is zygote:
                self._retire(job_type, "its zygote is retired")

    def _retire(self, job_type: str, reason: str) -> None:
        kept = self._kept.pop(job_type)
        log_retired(kept.horse, job_type, reason)
        # It ends by itself when its channel closes.
        kept.zygote.release(kept.horse)


def log_retired(horse: Horse, job_type: str, reason: str) -> None:
    attempts = "1 attempt" if horse.jobs == 1 else f"{horse.jobs} attempts"
    logger.info("retired work horse %d of %s after %s: %s", horse.pid, job_type, attempts, reason)


def _verdict(horse: Horse, seconds: float) -> Verdict | None:
    """Return the horse's verdict, or None if it is not there within `seconds`."""
    deadline = time.monotonic() + seconds
    while horse.verdict is None:
        try:
            lines = horse.receive()
        except BlockingIOError:
            if not select.select([horse.channel], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            continue
        if lines is None:
            return _ENDED
        for line in lines:
            # Anything else is a late report of the attempt that has ended, or was written by its function.
            with suppress(ValueError, TypeError, KeyError):
                horse.verdict = Verdict.from_message(json.loads(line)["verdict"])
    return horse.verdict


def _drop_output(horse: Horse) -> None:
    """Drop what was printed after the ending. Nothing is printed after the verdict."""
    for pipe in horse.readable(0) & {horse.stdout, horse.stderr}:
        with suppress(BlockingIOError):
            while os.read(pipe, _CHUNK_BYTES):
                continue
