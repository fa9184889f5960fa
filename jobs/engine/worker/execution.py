"""One execution, as its worker sees it: send the job to a horse, watch the horse, and finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.claims import Claim, ForeignClaim, Order
from jobs.engine.broker.store.leases import HEARTBEAT_SECONDS, Lease
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.trouble import BrokerTrouble
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.processes import memory_bytes
from jobs.engine.settings import Settings

from .assignment import Assignment
from .ending import EndingKind
from .horse_handle import Horse
from .horse_reports import Reports
from .kept_horses import log_retired
from .retry_decision import AttemptEnd, Death, KillReason, Limits, decide
from .zygote import Zygote
from .zygotes import Zygotes

#: Seconds from the moment at which the function should have stopped by itself until it is killed.
KILL_AFTER_TIMEOUT_SECONDS = 0.8
KILL_AFTER_CANCEL_SECONDS = 2.0
FLUSH_SECONDS = 0.2
LISTEN_SECONDS = 0.25
BROKER_RETRY_SECONDS = 0.5

NEVER = float("inf")

T = TypeVar("T")


@dataclass
class Stop:
    """A request to stop the worker. Times are those of `time.monotonic`."""

    requested: bool = False
    #: The worker takes no more jobs. The one that it has runs to its end.
    draining: bool = False
    #: When a running horse is killed.
    kill_at: float = NEVER
    #: When the worker stops waiting for a broker that is away.
    give_up_at: float = NEVER


@dataclass
class Execution:
    """A claimed job, the horse that runs it, and the limits that the worker enforces."""

    claim: Claim
    job_type: JobType
    worker: str
    worker_ttl: int
    queues: Sequence[str]
    store: Store
    settings: Settings
    stop: Stop
    zygotes: Zygotes
    trouble: BrokerTrouble
    #: Called with this object a few times a second while the horse runs, to read commands from RQ's tools.
    listen: Callable[[Execution], None]

    #: The one that forked the horse.
    zygote: Zygote = field(init=False)
    horse: Horse = field(init=False)
    #: The horse may serve another job after this one.
    _stays: bool = field(init=False)
    reports: Reports = field(init=False)
    #: Why the worker killed the horse, if it did.
    killed_for: KillReason | None = None
    #: Another execution holds the job; this one may not write.
    _lost: bool = False
    _flush_at: float = 0.0
    _cancel_kill_at: float = NEVER

    @property
    def order(self) -> Order:
        return self.claim.order

    def run(self, claim_next: str | None) -> tuple[OutcomeKind | None, Claim | ForeignClaim | None]:
        """Run the job, and claim the next one in the round trip of the finish.

        Args:
            claim_next: the id of the next execution.

        Returns:
            How the job ended or continues, or None if this execution lost it; and the next claim, unless this worker
            must stop.
        """
        self._start()
        try:
            self._watch()
            return self._finish(claim_next)
        finally:
            self.reports.close()
            self._part_from_horse()

    # --- start -------------------------------------------------------------------

    def _start(self) -> None:
        self._timeout = self.order.timeout or self.job_type.timeout
        self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        self.zygote = self.zygotes.of(self.job_type.modules)
        if not self._hand_to_kept_horse():
            self.horse = self.zygote.take() if self._horse_in_time() else self._dead_horse()
            self._hand_over()
        self._began = time.monotonic()
        self._listen_at = self._began + LISTEN_SECONDS
        self.reports = Reports(self.horse, self.claim, self.store)

    def _hand_to_kept_horse(self) -> bool:
        """Give the job to a horse that has served one of its type. Return False if there is none that lives."""
        kept = self.zygotes.kept.take(self.job_type.name)
        if kept is None:
            return False
        self.horse = kept
        if self._hand_over():
            return True
        self._retire_horse("its process has ended")
        return False

    def _hand_over(self) -> bool:
        self.horse.jobs += 1
        self._stays = self.horse.jobs < self.job_type.reuse
        return self.horse.send(self._assignment().as_message())

    def _horse_in_time(self) -> bool:
        """Wait for a horse and keep the lease: a new zygote may import modules for longer than a lease lasts.

        Return False if the execution must end before there is one.
        """
        while not self.zygote.is_ready(FLUSH_SECONDS):
            now = time.monotonic()
            if now >= self._heartbeat_at:
                self._heartbeat_at = now + HEARTBEAT_SECONDS
                lease = self._heartbeat()
                self._lost = lease is Lease.LOST
                self.killed_for = KillReason.CANCELLED if lease is Lease.CANCEL else None
            if now >= self.stop.kill_at:
                self.killed_for = KillReason.SHUTDOWN
            if self._lost or self.killed_for:
                return False
        return True

    def _dead_horse(self) -> Horse:
        """Return a horse that is killed before it has its job, so that the execution ends like any other."""
        self.zygote = self.zygotes.lean
        horse = self.zygote.take()
        horse.kill()
        return horse

    def _assignment(self) -> Assignment:
        return Assignment(
            job_id=self.claim.job_id,
            func_name=self.job_type.func_name,
            user_id=self.order.user_id,
            params=self.order.params,
            attempt=self.order.attempt,
            resumed=self.order.resumed,
            timeout_seconds=self._timeout,
            checkpoint=self.order.checkpoint,
            positions=self.order.positions,
            meta=self.order.meta,
            start_before=self._start_before(),
            stay=self._stays,
        )

    def _start_before(self) -> float | None:
        seconds = self.order.start_seconds
        return None if seconds is None else self.claim.asked_at + seconds

    # --- watch -------------------------------------------------------------------

    def _watch(self) -> None:
        """Return once the horse has reported its ending, or is dead."""
        channel, pipes = self.horse.channel.fileno(), (self.horse.stdout, self.horse.stderr)
        while self.reports.ending is None:
            ready = self.horse.readable(self._seconds_to_wait())
            for pipe in pipes:
                if pipe in ready and not self.reports.read_pipe(pipe):
                    self.horse.ignore_pipe(pipe)
            if channel in ready and not self.reports.read_channel():
                # It is dead, or has closed its channel. It must be dead before another execution starts.
                self.horse.kill()
                break
            self._attend(time.monotonic())
        self.reports.read_the_rest()

    def _seconds_to_wait(self) -> float:
        if self.reports.has_messages():
            return min(max(self._flush_at - time.monotonic(), 0.0), FLUSH_SECONDS)
        return FLUSH_SECONDS

    def _attend(self, now: float) -> None:
        if (now >= self._flush_at or self.reports.checkpoint_awaited) and self.reports.has_news():
            self._flush(now)
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + HEARTBEAT_SECONDS
            self._prolong_lease(now)
            self._check_memory()
        if now >= self._listen_at:
            self._listen_at = now + LISTEN_SECONDS
            self.zygotes.read_notices()
            self.listen(self)
        self._check_clocks(now)

    def _check_clocks(self, now: float) -> None:
        stall = self.job_type.stall_timeout
        if now >= self._began + self._timeout + KILL_AFTER_TIMEOUT_SECONDS:
            self._kill(KillReason.TIMEOUT)
        elif stall and now >= self.reports.active_at + stall:
            self._kill(KillReason.STALLED)
        elif now >= self._cancel_kill_at:
            self._kill(KillReason.CANCELLED)
        elif now >= self.stop.kill_at:
            self._kill(KillReason.SHUTDOWN)

    def _kill(self, reason: KillReason) -> None:
        if self.killed_for is None and not self._lost:
            self.killed_for = reason
            self.horse.kill()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self.horse.kill()

    def _flush(self, now: float) -> None:
        try:
            held = self.reports.write()
        except NOT_NOW:
            self._flush_at = now + BROKER_RETRY_SECONDS
            return
        self._flush_at = time.monotonic() + FLUSH_SECONDS
        if not held:
            self._lose()

    def _heartbeat(self) -> Lease:
        try:
            return self.store.heartbeat(self.worker, self.claim.job_id, self.claim.execution, self.worker_ttl)
        except NOT_NOW as error:
            # The horse continues: only another holder ends our right to the job, and without a broker there is none.
            self.trouble.away(error)
            return Lease.HELD

    def _prolong_lease(self, now: float) -> None:
        lease = self._heartbeat()
        if lease is Lease.LOST:
            self._lose()
        elif lease is Lease.CANCEL and self._cancel_kill_at == NEVER:
            self._cancel_kill_at = now + KILL_AFTER_CANCEL_SECONDS
            self.horse.ask_to_stop()

    def _check_memory(self) -> None:
        limit = self.settings.max_job_memory_bytes
        if limit and memory_bytes(self.horse.pid) - self.horse.carried_bytes > limit:
            self._kill(KillReason.MEMORY_LIMIT)

    def _part_from_horse(self) -> None:
        """Keep the horse for the next job of its type, or let it end."""
        reason = self._why_unfit() if self._stays else ""
        if self._stays and not reason:
            self.zygotes.kept.keep(self.job_type.name, self.horse, self.zygote)
        elif reason:
            self._retire_horse(reason)
        else:
            self.zygote.release(self.horse)

    def _retire_horse(self, reason: str) -> None:
        log_retired(self.horse, self.job_type.name, reason)
        self.zygote.release(self.horse)

    def _why_unfit(self) -> str:
        if self.killed_for or self._lost or self.reports.ending is None:
            return "its process was ended"
        if self.reports.ending.kind is not EndingKind.COMPLETED:
            return f"its attempt ended as {self.reports.ending.kind}"
        return "it was asked to stop" if self.horse.asked_to_stop else ""

    # --- finish ------------------------------------------------------------------

    def _finish(self, claim_next: str | None) -> tuple[OutcomeKind | None, Claim | ForeignClaim | None]:
        if self._lost:
            return None, None
        if self.reports.has_news():
            self._wait_for_broker_to(self.reports.write)
        outcome = self._outcome()
        return self._wait_for_broker_to(
            lambda: self.store.finish_and_claim(
                self.claim.job_id,
                self.claim.execution,
                self.worker,
                outcome,
                claim_next=None if self.stop.requested or self.stop.draining else claim_next,
                queues=self.queues,
            )
        )

    def _outcome(self) -> Outcome:
        cause = self.reports.ending or self.killed_for or Death(self.zygote.describe_end(self.horse))
        limits = Limits(self._timeout, self.job_type.stall_timeout, self.settings.max_job_memory_bytes)
        end = AttemptEnd(
            cause,
            self.job_type.retry,
            limits,
            self.reports.progress,
            attempt=self.order.attempt,
            max_attempts=self.order.attempts,
            deaths=self.order.deaths,
            stopping=self.stop.requested,
        )
        return decide(end)

    def _wait_for_broker_to(self, step: Callable[[], T]) -> T:
        """Call `step` until the broker is there, however long it is away: a result that exists is not computed again.

        Raises redis-py's errors once the worker must stop and its time is up.
        """
        while True:
            try:
                return step()
            except NOT_NOW as error:
                if time.monotonic() >= self.stop.give_up_at:
                    raise
                self.trouble.away(error)
                time.sleep(BROKER_RETRY_SECONDS)
