"""One execution as its worker sees it: hand the job to a horse, watch it, and settle what became of it."""

from __future__ import annotations

import json
import logging
import os
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .attempt import timeout_message
from .catalogue import JobType
from .connection import FULL, UNREACHABLE
from .errors import JobTimeout
from .processes import memory_bytes
from .resource import rfc3339
from .settings import Settings
from .store import HEARTBEAT_SECONDS, KEEP_LOG_LINES, Claim, ForeignClaim, Store
from .zygote import Horse, Zygote

logger = logging.getLogger("workhorse")

#: Seconds between the moment the function should have stopped by itself and its kill.
KILL_AFTER_TIMEOUT_SECONDS = 0.8
KILL_AFTER_CANCEL_SECONDS = 2.0
FLUSH_SECONDS = 0.2
LISTEN_SECONDS = 0.25
LOG_LINE_CHARACTERS = 8_000
BROKER_RETRY_SECONDS = 0.5
#: What the broker can't do now it can do later.
NOT_NOW = UNREACHABLE + FULL


@dataclass
class Stop:
    """What the worker's owner wants of it. `kill_at` is when a running horse must have been stopped."""

    requested: bool = False
    kill_at: float = float("inf")
    give_up_at: float = float("inf")


@dataclass
class Execution:
    claim: Claim
    job_type: JobType
    worker: str
    worker_ttl: int
    queues: Sequence[str]
    store: Store
    settings: Settings
    stop: Stop
    zygote: Zygote
    #: Called a few times a second while the horse runs: commands from RQ's tools.
    listen: Callable[[], None]

    horse: Horse = field(init=False)
    outcome: dict[str, Any] | None = None
    #: Why the worker ended the horse, if it did.
    killed_for: str | None = None
    _progress: dict[str, Any] | None = None
    _last_progress: dict[str, Any] | None = None
    _checkpoint: str | None = None
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEEP_LOG_LINES))
    _inbox: bytes = b""
    _partial: dict[int, bytes] = field(default_factory=dict)
    _flush_at: float = 0.0
    _cancel_kill_at: float = float("inf")

    @property
    def fields(self) -> dict[str, bytes]:
        return self.claim.fields

    def run(self, claim_next: str | None) -> tuple[str, Claim | ForeignClaim | None]:
        """Run it start to finish, and claim the next job in the round trip of the finish.

        Args:
            claim_next: the id of the next execution.

        Returns:
            What became of the job (completed, failed, …, or `lost`), and the next claim, unless this worker is to stop.
        """
        self._start()
        try:
            self._watch()
        finally:
            self.zygote.let_go(self.horse)
        return self._settle(claim_next)

    # --- start -------------------------------------------------------------------

    def _start(self) -> None:
        now = time.monotonic()
        self._timeout = int(self.fields.get("timeout", b"0") or 0) or self.job_type.timeout
        self._began = self._active_at = now
        self._heartbeat_at = now + HEARTBEAT_SECONDS
        self._listen_at = now + LISTEN_SECONDS
        self.horse = self.zygote.take()
        self.horse.tell(self._order())

    def _order(self) -> dict[str, Any]:
        _func_name, _instance, _args, params = json.loads(self.fields["data"])
        return {
            "job_id": self.claim.job_id,
            "func_name": self.job_type.func_name,
            "user_id": self.fields["user"].decode() or None,
            "params": params,
            "attempt": self.attempt,
            "resumed": int(self.fields.get("resumed", b"0")),
            "timeout": self._timeout,
            "checkpoint": json.loads(self.claim.checkpoint or b"{}"),
            "meta": json.loads(self.fields.get("meta", b"{}")),
        }

    @property
    def attempt(self) -> int:
        return int(self.fields.get("attempt", b"1"))

    # --- watch -------------------------------------------------------------------

    def _watch(self) -> None:
        """Until the horse has told its outcome, or is dead."""
        poll = select.poll()
        for descriptor in (self.horse.channel.fileno(), self.horse.stdout, self.horse.stderr):
            poll.register(descriptor, select.POLLIN)
        while self.outcome is None:
            ready = {descriptor for descriptor, _event in poll.poll(self._patience() * 1000)}
            if not self._read(ready, poll):
                break
            self._take_care(time.monotonic())
        self._read_the_rest()

    def _patience(self) -> float:
        waiting = self._flush_at - time.monotonic() if self._has_news() else FLUSH_SECONDS
        return min(max(waiting, 0.0), FLUSH_SECONDS)

    def _take_care(self, now: float) -> None:
        if self._has_news() and now >= self._flush_at:
            self._flush(now)
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + HEARTBEAT_SECONDS
            self._prolong_lease(now)
            self._check_memory()
        if now >= self._listen_at:
            self._listen_at = now + LISTEN_SECONDS
            self.zygote.hear()
            self.listen()
        self._check_clocks(now)

    def _check_clocks(self, now: float) -> None:
        if now >= self._began + self._timeout + KILL_AFTER_TIMEOUT_SECONDS:
            self._kill("timeout")
        elif self.job_type.stall_timeout and now >= self._active_at + self.job_type.stall_timeout:
            self._kill("stalled")
        elif now >= self._cancel_kill_at:
            self._kill("cancelled")
        elif now >= self.stop.kill_at:
            self._kill("shutdown")

    def _kill(self, reason: str) -> None:
        if self.killed_for is None:
            self.killed_for = reason
            self.horse.kill()

    def _prolong_lease(self, now: float) -> None:
        try:
            verdict = self.store.heartbeat(self.worker, self.claim.job_id, self.claim.execution, self.worker_ttl)
        except NOT_NOW as error:
            # The horse goes on: only another holder ends our right to the job, and nobody could have become one.
            logger.warning("%s: no heartbeat, the broker is away: %s", self.worker, error)
            return
        if verdict == "lost":
            self._kill("lost")
        elif verdict == "cancel" and self._cancel_kill_at == float("inf"):
            self._cancel_kill_at = now + KILL_AFTER_CANCEL_SECONDS
            self.horse.ask_to_stop()

    def _check_memory(self) -> None:
        limit = self.settings.max_job_memory_bytes
        if limit and memory_bytes(self.horse.pid) > limit:
            self._kill("memory_limit")

    # --- what the horse says -------------------------------------------------------

    def _read(self, ready: set[int], poll: select.poll) -> bool:
        """Take in what there is. False: the horse has closed its channel."""
        for pipe, level in ((self.horse.stdout, "info"), (self.horse.stderr, "warning")):
            if pipe in ready and not self._read_pipe(pipe, level):
                poll.unregister(pipe)
        return self.horse.channel.fileno() not in ready or self._read_channel()

    def _read_the_rest(self) -> None:
        self._read_channel(everything=True)
        for pipe, level in ((self.horse.stdout, "info"), (self.horse.stderr, "warning")):
            while self._read_pipe(pipe, level, once=True):
                continue
            if rest := self._partial.pop(pipe, b""):
                self._line(time.time(), level, rest.decode("utf-8", "replace"))

    def _read_channel(self, everything: bool = False) -> bool:
        while True:
            try:
                data = self.horse.channel.recv(262_144)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not data:
                return False
            *lines, self._inbox = (self._inbox + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
            if not everything:
                return True

    def _hear(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self._active_at = time.monotonic()
            if message["progress"] != self._last_progress:
                self._progress = self._last_progress = message["progress"]
        for at, level, text in message.get("lines", ()):
            self._line(at, level, text)
        if "checkpoint" in message:
            self._active_at = time.monotonic()
            self._checkpoint = message["checkpoint"]
            self._flush_at = 0.0
        if "outcome" in message:
            self.outcome = message["outcome"]

    def _read_pipe(self, pipe: int, level: str, once: bool = False) -> bool:
        try:
            data = os.read(pipe, 65_536)
        except BlockingIOError:
            return not once
        if not data:
            return False
        *lines, rest = (self._partial.get(pipe, b"") + data).split(b"\n")
        if len(rest) > LOG_LINE_CHARACTERS:
            lines.append(rest)
            rest = b""
        self._partial[pipe] = rest
        now = time.time()
        for line in lines[-KEEP_LOG_LINES:]:
            self._line(now, level, line.decode("utf-8", "replace"))
        return True

    def _line(self, at: float, level: str, text: str) -> None:
        message = text.rstrip("\r\n")[:LOG_LINE_CHARACTERS].encode("utf-8", "replace").decode()
        moment = rfc3339(datetime.fromtimestamp(at, UTC))
        self._lines.append(json.dumps({"at": moment, "attempt": self.attempt, "level": level, "message": message}))

    # --- what the broker is told -----------------------------------------------------

    def _has_news(self) -> bool:
        return bool(self._progress or self._lines or self._checkpoint is not None)

    def _flush(self, now: float) -> None:
        try:
            held = self._report()
        except NOT_NOW:
            self._flush_at = now + BROKER_RETRY_SECONDS
            return
        self._flush_at = time.monotonic() + FLUSH_SECONDS
        asked = self._checkpoint is not None
        self._progress, self._checkpoint = None, None
        self._lines.clear()
        if not held:
            self._kill("lost")
        elif asked:
            self.horse.tell({"written": True})

    # --- settle ------------------------------------------------------------------------

    def _settle(self, claim_next: str | None) -> tuple[str, Claim | ForeignClaim | None]:
        if self.killed_for == "lost":
            return "lost", None
        if self._has_news():
            self._patiently(self._report)
        outcome = self._decided()
        trace, result = outcome.pop("trace", ""), outcome.pop("result", "")
        answer: tuple[str, Claim | ForeignClaim | None] = self._patiently(
            lambda: self.store.finish_and_claim(
                self.claim.job_id,
                self.claim.execution,
                self.worker,
                outcome,
                result=result,
                trace=trace,
                claim_next=None if self.stop.requested else claim_next,
                queues=self.queues,
            )
        )
        return answer

    def _report(self) -> bool:
        return self.store.report(
            self.claim.job_id,
            self.claim.execution,
            progress=self._progress,
            checkpoint=self._checkpoint,
            lines=list(self._lines),
        )

    def _patiently(self, step: Callable[[], Any]) -> Any:
        """Do it, however long the broker is away: what has been computed is not computed again."""
        while True:
            try:
                return step()
            except NOT_NOW as error:
                if time.monotonic() >= self.stop.give_up_at:
                    raise
                logger.warning("%s: the broker is away, trying again: %s", self.worker, error)
                time.sleep(BROKER_RETRY_SECONDS)

    def _decided(self) -> dict[str, Any]:
        """The outcome for the finish script: its kind, and what it needs to know."""
        outcome = dict(self.outcome or self._without_outcome())
        state = outcome.pop("state", None) or self._last_progress or {}
        kind = outcome["kind"]
        if kind == "completed":
            return outcome | {"meta": json.dumps(state | {"progress": 100.0, "eta_seconds": None})}
        retryable, fatal = outcome.pop("retryable", False), outcome.pop("fatal", False)
        if kind == "later":
            return outcome | {"kind": "retrying", "uncharged": True}
        if kind == "failed" and self.stop.requested and not fatal:
            # Its children were told to stop as well, or the network was taken away: not its own failure.
            return {"kind": "resumed", "reason": "shutdown"}
        if kind == "failed" and retryable and self.attempt < int(self.fields.get("attempts", b"1")):
            assert self.job_type.retry is not None
            return outcome | {"kind": "retrying", "delay": self.job_type.retry.seconds_before(self.attempt)}
        return outcome

    def _without_outcome(self) -> dict[str, Any]:
        if self.killed_for == "cancelled":
            return {"kind": "cancelled"}
        if self.killed_for == "shutdown":
            return {"kind": "resumed", "reason": "shutdown"}
        if self.killed_for in ("timeout", "stalled"):
            policy = self.job_type.retry
            message = timeout_message(self._timeout) if self.killed_for == "timeout" else self._stalled()
            retryable = policy is not None and policy.applies_to(JobTimeout(message))
            return {"kind": "failed", "error": message, "error_type": self.killed_for, "retryable": retryable}
        if self.killed_for == "memory_limit":
            limit = f"{self.settings.max_job_memory_bytes:,}"
            message = f"The job used more than its {limit} bytes of memory (MAX_JOB_MEMORY_BYTES)."
            return {"kind": "failed", "error": message, "error_type": "memory_limit", "fatal": True}
        return died(self.zygote.how_it_ended(self.horse))

    def _stalled(self) -> str:
        return f"The job made no progress for {self.job_type.stall_timeout:g} s (stall_timeout)."


def died(how: str) -> dict[str, Any]:
    """The outcome of an attempt whose process ended without a word. The third in a row is its last."""
    return {
        "kind": "died",
        "reason": "worker_lost",
        "error": f"The process that ran this job ended without a word ({how}), three times running.",
        "error_type": "worker_lost",
    }
