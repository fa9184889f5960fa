"""Our worker: a drop-in for `rq.Worker` that, given an engine, claims and finishes without losing anything.

Without `engine` it is rq's worker, with rq's defaults. With it, jobs that were submitted through Workhorse take our
path: claimed, run and finished by one atomic script each. A job that somebody enqueued with plain RQ takes rq's own
path (`super()`) whole, once it has been found to be allowed here.

Written for rq 2.12.0. Every private hook that is overridden names the file it comes from.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any
from uuid import uuid4

import redis
import rq
import rq.utils
from rq.exceptions import NoSuchJobError
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from jobs.engine.broker.connection import NOT_NOW, REFUSED
from jobs.engine.broker.store.claims import Claim, ForeignClaim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import Catalogue, JobType
from jobs.engine.processes import die_with_parent
from jobs.engine.settings import Settings
from jobs.engine.states import Priority

from .broker_trouble import BrokerTrouble
from .execution import Execution, Stop
from .horse import outlive_the_stop_of_others
from .outcome import SHUTDOWN, Death, KillReason, after_death
from .plain_rq import refusal
from .zygote import Zygote

logger = logging.getLogger("workhorse")

QUEUES = tuple(str(priority) for priority in Priority)

#: Seconds: a worker's record lives this long, and a minute, without a sign of life.
WORKER_TTL = 20
#: Seconds: rq's own path looks after its jobs this often.
MONITOR_SECONDS = 2
#: Seconds after which rq itself would give up a job of its own that one of our workers holds.
FOREIGN_TTL = 86_400
#: Seconds before SHUTDOWN_GRACE ends in which horses are stopped and their jobs put back.
PUT_BACK_SECONDS = 3.0
IDLE_SECONDS = 1.0
#: Seconds for which a busy worker goes from job to job before it looks at suspension, maintenance and its own record.
LOOK_ROUND_SECONDS = 1.0


@dataclass(frozen=True)
class Engine:
    """What a worker needs to know beyond rq."""

    settings: Settings
    catalogue: Catalogue
    store: Store
    zygote: Zygote


class Worker(rq.Worker):
    def __init__(self, *args: Any, engine: Engine | None = None, **kwargs: Any) -> None:
        self.engine = engine
        self.stop = Stop()
        self._next_execution = uuid4().hex
        self._look_round_at = 0.0
        self._foreign: ForeignClaim | None = None
        self._horse_died = False
        if engine is not None:
            kwargs = {
                "connection": engine.store.connection,
                "serializer": JSONSerializer,
                "name": self.host_prefix(os.getpid()) + uuid4().hex[:8],
                "worker_ttl": WORKER_TTL,
                "job_monitoring_interval": MONITOR_SECONDS,
                "default_result_ttl": engine.settings.result_ttl,
            } | kwargs
        super().__init__(*(args or (QUEUES,)), **kwargs)
        self._trouble = BrokerTrouble(self.name)

    @staticmethod
    def host_prefix(pid: int) -> str:
        """How the names of workers begin that run on this host with this process id."""
        return f"{socket.gethostname().split('.')[0]}-{pid}-"

    # --- the loop ------------------------------------------------------------------

    def work(self, burst: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Claim and run jobs until told to stop; with `burst`, until there are none."""
        if self.engine is None:
            return bool(super().work(burst, *args, **kwargs))
        self._install_signal_handlers()
        self.engine.zygote.wait_until_ready()
        while not self._come_up() and not self._stop_requested:
            time.sleep(IDLE_SECONDS)
        worked = False
        while not self._stop_requested:
            try:
                found = self._turn()
            except NOT_NOW as error:
                self._trouble.away(error)
                time.sleep(IDLE_SECONDS)
                continue
            except redis.ResponseError as error:  # a record that is not one of ours must not end a worker
                self._trouble.failed(error, "a claim or a finish")
                time.sleep(IDLE_SECONDS)
                continue
            worked = worked or found
            if burst and not found:
                break
            if not found and not self._stop_requested:
                self._rest()
        # Not in a `finally`: a worker that ends in any other way is still on record, and what it held is freed.
        self._go_down()
        return worked

    def _come_up(self) -> bool:
        try:
            self.register_birth()
            self.subscribe()
            self.set_state(WorkerStatus.IDLE)
        except NOT_NOW as error:
            self._trouble.away(error)
            return False
        return True

    def _go_down(self) -> None:
        try:
            self.teardown()
        except NOT_NOW as error:
            # Its record expires by itself.
            logger.warning("%s: could not sign off: %s", self.name, error)

    def _turn(self) -> bool:
        """Take a job and run it, and those that come with each finish. False: there was none."""
        assert self.engine is not None
        self.check_for_suspension(burst=False)
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        claim = self.engine.store.claim(self.name, self._next_execution, self.queue_names())
        # Kept until it was answered: the script that we did not hear of may have claimed.
        self._next_execution = uuid4().hex
        found = claim is not None
        while claim is not None:
            if isinstance(claim, ForeignClaim):
                self._run_foreign(claim)
                claim = None
            else:
                claim = self._run_claimed(claim)
        return found

    def _rest(self) -> None:
        """Wait for work: until something is pushed, or long enough to look for what plain RQ has pushed."""
        assert self.engine is not None
        try:
            self._hear_commands()
            self.engine.zygote.hear()
            self.engine.store.wait_for_doorbell(self.queue_names(), IDLE_SECONDS)
            self.heartbeat(WORKER_TTL)
        except NOT_NOW as error:
            self._trouble.away(error)
            time.sleep(IDLE_SECONDS)

    # --- our own jobs ------------------------------------------------------------------

    def _run_claimed(self, claim: Claim) -> Claim | ForeignClaim | None:
        """Run a job, and claim the next one with its finish, unless there is something else to see to first."""
        assert self.engine is not None
        job_type = self._job_type(claim)
        if job_type is None:
            return None
        execution = Execution(
            claim,
            job_type,
            self.name,
            WORKER_TTL + 60,
            self.queue_names(),
            self.engine.store,
            self.engine.settings,
            self.stop,
            self.engine.zygote,
            self._trouble,
            listen=lambda: self._obey(claim, execution),
        )
        self._state = WorkerStatus.BUSY
        go_on = time.monotonic() < self._look_round_at
        ended, following = execution.run(self._next_execution if go_on else None)
        if go_on:
            self._next_execution = uuid4().hex
        else:
            self._look_round_at = time.monotonic() + LOOK_ROUND_SECONDS
        self._horse_pid = 0
        self._state = WorkerStatus.IDLE
        logger.info("%s: %s %s, attempt %s: %s", self.name, job_type.name, claim.job_id, claim.order.attempt, ended)
        return following

    def _job_type(self, claim: Claim) -> JobType | None:
        """The claimed job's type; a job that this worker's code does not know ends here, and says so."""
        assert self.engine is not None
        job_type = self.engine.catalogue.by_function(claim.order.func_name)
        if job_type is None:
            name = claim.order.type_name
            message = f"The worker that took this job has no job type {name!r}; deploy the code that has, and retry."
            outcome = Outcome(OutcomeKind.FAILED, message, "JobTypeNotFound")
            self.engine.store.finish(claim.job_id, claim.execution, self.name, outcome)
        return job_type

    def _obey(self, claim: Claim, execution: Execution) -> None:
        self._horse_pid = execution.horse.pid
        self._hear_commands()
        if self._stopped_job_id == claim.job_id:
            # RQ's stop command has already killed the horse (rq/command.py, handle_stop_job_command).
            self._stopped_job_id = None
            execution.killed_for = KillReason.CANCELLED

    # --- jobs of plain RQ ----------------------------------------------------------------

    def _run_foreign(self, claim: ForeignClaim) -> None:
        assert self.engine is not None
        queue = self.queue_class(claim.queue, connection=self.connection, serializer=self.serializer)
        try:
            job = self.job_class.fetch(claim.job_id, connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            self._forget(claim)
            return
        if reason := refusal(job, self.engine.settings.allowed_functions, self.engine.catalogue):
            logger.warning("%s: refused job %s: %s", self.name, job.id, reason)
            job.ended_at = rq.utils.now()
            job.retries_left = None
            # For whoever may see the job: rq keeps a reason only where it keeps traces.
            self.connection.hset(job.key, "refused", reason)
            super().handle_job_failure(job, queue, exc_string=reason)
        else:
            self._foreign = claim
            self._horse_died = False
            self.execute_job(job, queue)
            self._foreign = None
        self._forget(claim)

    def _forget(self, claim: ForeignClaim) -> None:
        assert self.engine is not None
        self.connection.lrem(f"rq:queue:{claim.queue}:intermediate", 1, claim.job_id)
        self.engine.store.release(claim.job_id, claim.execution, self.name)

    def prepare_job_execution(self, job: RQJob, remove_from_intermediate_queue: bool = False) -> None:
        # rq/worker/base.py: rq clears the intermediate list for a worker of one queue only; our claim always uses it.
        super().prepare_job_execution(job, remove_from_intermediate_queue or self.engine is not None)

    def main_work_horse(self, job: RQJob, queue: rq.Queue) -> None:
        # rq/worker/base.py: an rq horse outlives its worker, and runs on while another worker starts its job again.
        if self.engine is not None:
            die_with_parent(os.getppid())
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        # rq/worker/base.py: SIGTERM would end it, and a platform sends that to every process at once.
        super().setup_work_horse_signals()
        if self.engine is not None:
            outlive_the_stop_of_others()

    def maintain_heartbeats(self, job: RQJob, *args: Any, **kwargs: Any) -> None:
        # rq/worker/worker_classes.py, monitor_work_horse: called every MONITOR_SECONDS while the horse runs.
        if self.engine is None or self._foreign is None:
            super().maintain_heartbeats(job, *args, **kwargs)
            return
        try:
            super().maintain_heartbeats(job, *args, **kwargs)
            self._hear_commands()
            held = self.engine.store.heartbeat(self.name, job.id, self._foreign.execution, WORKER_TTL + 60)
        except NOT_NOW as error:
            self._trouble.away(error)
            held = "held"
        if held == "lost" or time.monotonic() >= self.stop.kill_at - MONITOR_SECONDS:
            self.kill_horse()

    def get_heartbeat_ttl(self, job: RQJob) -> int:
        # rq/worker/base.py, for StartedJobRegistry.cleanup (rq/registry.py): on the clocks of two workers, which may be
        # an hour apart. In here the lease tells who is dead, on the broker's clock.
        return super().get_heartbeat_ttl(job) if self.engine is None else FOREIGN_TTL

    def handle_work_horse_killed(self, job: RQJob, *args: Any, **kwargs: Any) -> None:
        # rq/worker/worker_classes.py, monitor_work_horse: called when a horse ended without a word, right before
        # handle_job_failure, which would spend a retry or fail the job.
        self._horse_died = True
        super().handle_work_horse_killed(job, *args, **kwargs)

    def handle_job_failure(self, job: RQJob, queue: rq.Queue, *args: Any, **kwargs: Any) -> None:
        if self.engine is None or self._foreign is None or not self._horse_died:
            super().handle_job_failure(job, queue, *args, **kwargs)
            return
        outcome = SHUTDOWN if self.stop.requested else after_death(self._foreign.deaths, Death("its process ended"))
        ended = self.engine.store.finish(job.id, self._foreign.execution, self.name, outcome)
        logger.warning("%s: plain RQ's job %s lost its process: %s", self.name, job.id, ended)
        self.execution = None

    # --- signals and commands -----------------------------------------------------------

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the running job, or put it back when the grace time ends. Further signals change nothing.

        rq raises out of its handler (rq/worker/base.py, request_stop), in the middle of whatever was going on, and
        lost 7 of 80 jobs so. A flag is looked at between two steps.
        """
        if self.engine is None:
            super().request_stop(signum, frame)
            return
        if not self.stop.requested:
            grace = self.engine.settings.shutdown_grace
            now = time.monotonic()
            self.stop.requested = True
            self.stop.kill_at = now + max(0.0, grace - PUT_BACK_SECONDS)
            self.stop.give_up_at = now + max(0.5, grace - 0.5)
        self._stop_requested = True

    def subscribe(self) -> None:
        # rq/worker/base.py starts a thread here, and a process with threads is a bad one to fork. Between two steps
        # is soon enough: cancelling through our API does not come this way.
        if self.engine is None:
            super().subscribe()
            return
        self.pubsub = self.connection.pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload})

    def _hear_commands(self) -> None:
        try:
            while self.pubsub is not None and self.pubsub.get_message(timeout=0):
                continue
        except REFUSED as error:
            self._trouble.away(error)
        except NOT_NOW:
            logger.debug("%s: no commands, the broker is away", self.name)

    # --- what rq keeps of a worker --------------------------------------------------------

    @property
    def connection_timeout(self) -> int:
        # rq/worker/base.py, _set_connection, would raise our socket timeout so that its long BLPOP fits.
        return 0 if self.engine is not None else super().connection_timeout

    def run_maintenance_tasks(self) -> None:
        if self.engine is None:
            super().run_maintenance_tasks()
            return
        try:
            super().run_maintenance_tasks()
        except NOT_NOW:
            raise
        except Exception:  # one bad record of a foreign job must not stop a worker (rq/registry.py, cleanup)
            logger.exception("%s: rq's maintenance failed", self.name)
            self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # rq infers None from its __init__
