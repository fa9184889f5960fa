"""Our worker: a drop-in for `rq.Worker` that, given an engine, claims and finishes jobs without losing any.

Without `engine` it is rq's worker, with rq's defaults. With it, a job that was submitted through Workhorse takes our
path: it is claimed, run and finished by one atomic script each. A job of plain RQ takes rq's own path, if it may run
here.
"""

from __future__ import annotations

import logging
import math
import time
from secrets import token_hex
from typing import Any

import redis
from rq.job import Job as RQJob
from rq.suspension import is_suspended
from rq.worker import WorkerStatus

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.claims import Claim, ForeignClaim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.catalogue.job_type import JobType

from .drain import DrainWatch
from .execution import Execution
from .leased_rq import WORKER_TTL, Engine, LeasedRQWorker
from .retry_decision import KillReason
from .served_queues import ServedQueues

logger = logging.getLogger("workhorse")

#: Seconds between two looks of an idle worker at what is on its own host, and between two attempts after an outage.
IDLE_SECONDS = 1.0
#: Seconds for which a busy worker goes from job to job before it checks suspension, maintenance and its own record.
CHECK_SECONDS = 1.0
#: Seconds between these checks while it is idle. Doorbells tell it of jobs and of a drain.
IDLE_CHECK_SECONDS = 5.0


class Worker(LeasedRQWorker):
    def __init__(self, *args: Any, engine: Engine | None = None, **kwargs: Any) -> None:
        super().__init__(*args, engine=engine, **kwargs)
        self._next_execution = token_hex(16)
        self._checked_at = -math.inf
        self._rung = False
        self._drain = engine and DrainWatch(self.name, engine.store, self.stop, engine.note_drain)
        self._served = engine and ServedQueues(self.name, engine.settings.ability, engine.store)

    # --- the loop ----------------------------------------------------------------------

    def work(self, burst: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Claim and run jobs until a stop is requested; with `burst`, until there are none. Return True if any ran."""
        if self.engine is None:
            return bool(super().work(burst, *args, **kwargs))
        self._install_signal_handlers()
        self.engine.zygotes.lean.wait_until_ready()
        while not self._register() and not self._stop_requested:
            time.sleep(IDLE_SECONDS)
        worked = False
        while not self._stop_requested:
            found = self._take_turn()
            worked = worked or bool(found)
            if found is None:
                time.sleep(IDLE_SECONDS)
            elif not found and burst:
                break
            elif not found and not self._stop_requested:
                self._wait_for_work()
        # Not in a `finally`: a worker that ends in any other way stays on record, and what it held is freed.
        self._unregister()
        return worked

    def _register(self) -> bool:
        try:
            self.register_birth()
            self.subscribe()
            self.set_state(WorkerStatus.IDLE)
        except NOT_NOW as error:
            self._trouble.away(error)
            return False
        return True

    def _register_again(self) -> None:
        """Make the worker's record again, which has expired during an outage of the broker."""
        logger.warning("%s: its record had expired", self.name)
        self.connection.delete(self.key)  # of a record that has expired, a heartbeat makes a part
        self.register_birth()
        self.set_state(WorkerStatus.IDLE)

    def _unregister(self) -> None:
        try:
            self.teardown()
        except NOT_NOW as error:
            # Its record expires by itself.
            logger.warning("%s: could not remove its record: %s", self.name, error)

    def _take_turn(self) -> bool | None:
        """Run the next job, and those that are claimed with each finish.

        Returns:
            True if there was a job, False if there was none, None if the broker could not do it now.
        """
        try:
            return self._run_next()
        except NOT_NOW as error:
            self._trouble.away(error)
        except redis.ResponseError as error:  # a record that is not one of ours must not end a worker
            self._trouble.failed(error, "a claim or a finish")
        return None

    def _run_next(self) -> bool:
        # A job that has rung does not wait for a check: the claim also refuses a worker that drains or is suspended.
        is_due = time.monotonic() >= self._checked_at + (IDLE_CHECK_SECONDS if self._rung else CHECK_SECONDS)
        self._rung = False
        if is_due and not self._may_claim():
            return False
        claim = self._given_engine.store.claim(self.name, self._next_execution, self.queue_names())
        # Kept until there was a reply: a script whose reply was lost may have claimed.
        self._next_execution = token_hex(16)
        found = claim is not None
        while claim is not None:
            if isinstance(claim, ForeignClaim):
                self._run_foreign(claim)
                claim = None
            else:
                claim = self._run_claimed(claim)
        return found

    def _may_claim(self) -> bool:
        """Check what changes rarely. Return False if the worker drains or is suspended."""
        self._checked_at = time.monotonic()
        if self._drain and self._drain.is_draining():
            self._stop_requested = True
            return False
        if self._drain and self._drain.record_is_missing:
            self._register_again()
            self._drain.record_is_missing = False
        if self._served and self._served.look():
            self._follow_queues()
        if self._is_suspended():
            return False
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        return True

    def _follow_queues(self) -> None:
        """Take jobs from the queues that were found."""
        assert self._served
        self.queues = [
            self.queue_class(name, connection=self.connection, job_class=self.job_class, serializer=self.serializer)
            for name in self._served.names
        ]

    def _is_suspended(self) -> bool:
        """Return True if RQ's tools have suspended all workers (rq/suspension.py)."""
        # rq/worker/base.py, check_for_suspension, would neither read commands nor notice a drain until the resume.
        suspended = bool(is_suspended(self.connection, self))
        state = WorkerStatus.SUSPENDED if suspended else WorkerStatus.IDLE
        if state != self._state:
            self.set_state(state)
        return suspended

    def _wait_for_work(self) -> None:
        """Wait until a doorbell rings, or until it is time for a check."""
        try:
            while not self._stop_requested and time.monotonic() < self._checked_at + IDLE_CHECK_SECONDS:
                self._read_commands()
                self._given_engine.zygotes.read_notices()
                if self._served and self._served.look():
                    self._follow_queues()
                    return
                rung = self._given_engine.store.wait_for_doorbell([self.name, *self.queue_names()], IDLE_SECONDS)
                if rung == self.name:
                    self._checked_at = -math.inf
                elif rung:
                    self._rung = True
                    return
        except NOT_NOW as error:
            self._trouble.away(error)
            time.sleep(IDLE_SECONDS)

    # --- our own jobs ------------------------------------------------------------------

    def _run_claimed(self, claim: Claim) -> Claim | ForeignClaim | None:
        """Run a job, and claim the next one with its finish, unless it is time for a check."""
        job_type = self._job_type(claim)
        if job_type is None:
            return None
        execution = self._execution(claim, job_type)
        self._state = WorkerStatus.BUSY
        claims_next = time.monotonic() < self._checked_at + CHECK_SECONDS
        ended, following = execution.run(self._next_execution if claims_next else None)
        if claims_next:
            self._next_execution = token_hex(16)
        self._horse_pid = 0
        self._state = WorkerStatus.IDLE
        attempt = claim.order.attempt
        logger.info("%s: %s %s, attempt %s: %s", self.name, job_type.name, claim.job_id, attempt, ended or "lost")
        return following

    def _execution(self, claim: Claim, job_type: JobType) -> Execution:
        engine = self._given_engine
        return Execution(
            claim,
            job_type,
            self.name,
            WORKER_TTL + 60,
            self.queue_names(),
            engine.store,
            engine.settings,
            self.stop,
            engine.zygotes,
            self._trouble,
            listen=self._follow_commands,
        )

    def _job_type(self, claim: Claim) -> JobType | None:
        """Return the claimed job's type. If this worker's code does not know it, fail the job and return None."""
        engine = self._given_engine
        job_type = engine.catalogue.by_function(claim.order.func_name)
        if job_type is None:
            name = claim.order.type_name
            message = f"The worker that took this job has no job type {name!r}. Deploy the code that has it, and retry."
            outcome = Outcome(OutcomeKind.FAILED, message, "JobTypeNotFound")
            engine.store.finish(claim.job_id, claim.execution, self.name, outcome)
        return job_type

    def _look_while_busy(self) -> None:
        """Keep announcing the queues: jobs that wait for a busy worker have a worker."""
        takes_more = not (self.stop.requested or self.stop.draining)
        if self._served and takes_more and self._served.look_while_busy():
            self._follow_queues()

    def maintain_heartbeats(self, job: RQJob, *args: Any, **kwargs: Any) -> None:
        super().maintain_heartbeats(job, *args, **kwargs)
        self._look_while_busy()

    def _follow_commands(self, execution: Execution) -> None:
        self._horse_pid = execution.horse.pid
        self._read_commands()
        if self._drain:
            self._drain.look(execution.horse.pid)
        self._look_while_busy()
        if self._stopped_job_id == execution.claim.job_id:
            # RQ's stop command has already killed the horse (rq/command.py, handle_stop_job_command).
            self._stopped_job_id = None
            execution.killed_for = KillReason.CANCELLED
