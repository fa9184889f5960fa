"""One execution as its worker sees it: hand the job to a horse, watch it, and settle what became of it."""

from __future__ import annotations

import json
import logging
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.claims import Claim, ForeignClaim, Order
from jobs.engine.broker.store.leases import HEARTBEAT_SECONDS
from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.processes import memory_bytes
from jobs.engine.settings import Settings

from .horse_reports import Reports
from .outcome import Ending, decided, died
from .zygote import Horse, Zygote

logger = logging.getLogger("workhorse")

#: Seconds between the moment the function should have stopped by itself and its kill.
KILL_AFTER_TIMEOUT_SECONDS = 0.8
KILL_AFTER_CANCEL_SECONDS = 2.0
FLUSH_SECONDS = 0.2
LISTEN_SECONDS = 0.25
BROKER_RETRY_SECONDS = 0.5

NEVER = float("inf")


@dataclass
class Stop:
    """What the worker's owner wants of it. `kill_at` is when a running horse must have been stopped."""

    requested: bool = False
    kill_at: float = NEVER
    give_up_at: float = NEVER


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
    reports: Reports = field(init=False)
    #: Why the worker ended the horse, if it did.
    killed_for: str | None = None
    _flush_at: float = 0.0
    _cancel_kill_at: float = NEVER

    @property
    def order(self) -> Order:
        return self.claim.order

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
            return self._settle(claim_next)
        finally:
            self.reports.close()
            self.zygote.let_go(self.horse)

    # --- start -------------------------------------------------------------------

    def _start(self) -> None:
        now = time.monotonic()
        self._timeout = self.order.timeout or self.job_type.timeout
        self._began = now
        self._heartbeat_at = now + HEARTBEAT_SECONDS
        self._listen_at = now + LISTEN_SECONDS
        self.horse = self.zygote.take()
        self.reports = Reports(self.horse, self.claim, self.store)
        self.horse.tell(self._told())

    def _told(self) -> dict[str, Any]:
        return {
            "job_id": self.claim.job_id,
            "func_name": self.job_type.func_name,
            "user_id": self.order.user_id,
            "params": self.order.params,
            "attempt": self.order.attempt,
            "resumed": self.order.resumed,
            "timeout": self._timeout,
            "checkpoint": self.order.checkpoint,
            "positions": self.order.positions,
            "meta": self.order.meta,
        }

    # --- watch -------------------------------------------------------------------

    def _watch(self) -> None:
        """Until the horse has told its outcome, or is dead."""
        poll = select.poll()
        channel, pipes = self.horse.channel.fileno(), (self.horse.stdout, self.horse.stderr)
        for descriptor in (channel, *pipes):
            poll.register(descriptor, select.POLLIN)
        while self.reports.outcome is None:
            ready = {descriptor for descriptor, _event in poll.poll(self._patience() * 1000)}
            for pipe in pipes:
                if pipe in ready and not self.reports.read_pipe(pipe):
                    poll.unregister(pipe)
            if channel in ready and not self.reports.read_channel():
                # It is dead, or has closed what it can't be without. Dead it shall be before anybody else has the job.
                self.horse.kill()
                break
            self._take_care(time.monotonic())
        self.reports.read_the_rest()

    def _patience(self) -> float:
        if self.reports.has_words():
            return min(max(self._flush_at - time.monotonic(), 0.0), FLUSH_SECONDS)
        return FLUSH_SECONDS

    def _take_care(self, now: float) -> None:
        if (now >= self._flush_at or self.reports.awaited) and self.reports.has_news():
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
        stall = self.job_type.stall_timeout
        if now >= self._began + self._timeout + KILL_AFTER_TIMEOUT_SECONDS:
            self._kill("timeout")
        elif stall and now >= self.reports.active_at + stall:
            self._kill("stalled")
        elif now >= self._cancel_kill_at:
            self._kill("cancelled")
        elif now >= self.stop.kill_at:
            self._kill("shutdown")

    def _kill(self, reason: str) -> None:
        if self.killed_for is None:
            self.killed_for = reason
            self.horse.kill()

    def _flush(self, now: float) -> None:
        try:
            held = self.reports.write()
        except NOT_NOW:
            self._flush_at = now + BROKER_RETRY_SECONDS
            return
        self._flush_at = time.monotonic() + FLUSH_SECONDS
        if not held:
            self._kill("lost")

    def _prolong_lease(self, now: float) -> None:
        try:
            verdict = self.store.heartbeat(self.worker, self.claim.job_id, self.claim.execution, self.worker_ttl)
        except NOT_NOW as error:
            # The horse goes on: only another holder ends our right to the job, and nobody could have become one.
            logger.warning("%s: no heartbeat, the broker is away: %s", self.worker, error)
            return
        if verdict == "lost":
            self._kill("lost")
        elif verdict == "cancel" and self._cancel_kill_at == NEVER:
            self._cancel_kill_at = now + KILL_AFTER_CANCEL_SECONDS
            self.horse.ask_to_stop()

    def _check_memory(self) -> None:
        limit = self.settings.max_job_memory_bytes
        if limit and memory_bytes(self.horse.pid) > limit:
            self._kill("memory_limit")

    # --- settle ------------------------------------------------------------------------

    def _settle(self, claim_next: str | None) -> tuple[str, Claim | ForeignClaim | None]:
        if self.killed_for == "lost":
            return "lost", None
        if self.reports.has_news():
            self._patiently(self.reports.write)
        outcome = self._outcome()
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

    def _outcome(self) -> dict[str, Any]:
        told = self.reports.outcome
        state = told.pop("state") if told is not None else self.reports.last_progress
        ending = Ending(
            self.job_type,
            self.order.attempt,
            self.order.attempts,
            self._timeout,
            told,
            self.killed_for,
            self.stop.requested,
            self.settings.max_job_memory_bytes,
        )
        outcome = decided(ending) or died(self.zygote.how_it_ended(self.horse))
        if outcome["kind"] == "completed":
            outcome["meta"] = json.dumps(state | {"progress": 100.0, "eta_seconds": None})
        return outcome

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
