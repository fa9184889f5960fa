"""rq's own worker under our lease: the changes that jobs of plain RQ need to run without being lost.

Without an engine it is rq's worker as it is. Written for rq 2.12.0. Every private hook that is overridden names the
file it comes from.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any
from uuid import uuid4

import rq
import rq.utils
from rq.exceptions import NoSuchJobError
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from jobs.engine.broker.connection import NOT_NOW, REFUSED
from jobs.engine.broker.store.claims import ForeignClaim
from jobs.engine.broker.store.leases import Lease
from jobs.engine.broker.store.outcome import OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.trouble import BrokerTrouble
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.processes import die_with_parent
from jobs.engine.settings import Settings
from jobs.engine.states import Priority

from .execution import Stop
from .horse import ignore_stop_signals
from .plain_rq import refusal
from .retry_decision import SHUTDOWN, Death, after_death
from .zygotes import Zygotes

logger = logging.getLogger("workhorse")

QUEUES = tuple(str(priority) for priority in Priority)

#: Seconds without a sign of life after which RQ's record of a worker expires, one minute added.
WORKER_TTL = 20
#: Seconds between two looks of rq's own path at its running job.
MONITOR_SECONDS = 2
#: Seconds after which rq itself would give up a job of plain RQ that one of our workers holds.
FOREIGN_TTL = 86_400
#: Seconds before the end of SHUTDOWN_GRACE at which horses are killed and their jobs put back.
PUT_BACK_SECONDS = 3.0


@dataclass(frozen=True)
class Engine:
    """What a worker needs besides rq."""

    settings: Settings
    catalogue: Catalogue
    store: Store
    zygotes: Zygotes
    #: Called when this worker begins or ceases to drain.
    note_drain: Callable[[bool], None]


class LeasedRQWorker(rq.Worker):
    def __init__(self, *args: Any, engine: Engine | None = None, **kwargs: Any) -> None:
        self.engine = engine
        self.stop = Stop()
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
            args = args or (engine.settings.ability.served(()),)
        super().__init__(*(args or (QUEUES,)), **kwargs)
        self._trouble = BrokerTrouble(self.name)

    @staticmethod
    def host_prefix(pid: int) -> str:
        """Return the beginning of the name of a worker that runs on this host with this process id."""
        return f"{socket.gethostname().split('.')[0]}-{pid}-"

    @property
    def _given_engine(self) -> Engine:
        assert self.engine is not None
        return self.engine

    # --- jobs of plain RQ --------------------------------------------------------------

    def _run_foreign(self, claim: ForeignClaim) -> None:
        """Run a job of plain RQ on rq's own path, or refuse it."""
        queue = self.queue_class(claim.queue, connection=self.connection, serializer=self.serializer)
        try:
            job = self.job_class.fetch(claim.job_id, connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            self._release(claim)
            return
        reason = refusal(job, self._given_engine.settings.allowed_functions, self._given_engine.catalogue)
        if reason:
            self._refuse(job, queue, reason)
        else:
            self._foreign = claim
            self._horse_died = False
            self.execute_job(job, queue)
            self._foreign = None
        self._release(claim)

    def _refuse(self, job: RQJob, queue: rq.Queue, reason: str) -> None:
        logger.warning("%s: refused job %s: %s", self.name, job.id, reason)
        job.ended_at = rq.utils.now()
        job.retries_left = None
        # For the users who may see the job: rq keeps a reason only where it keeps traces.
        self.connection.hset(job.key, "refused", reason)
        super().handle_job_failure(job, queue, exc_string=reason)

    def _release(self, claim: ForeignClaim) -> None:
        self.connection.lrem(f"rq:queue:{claim.queue}:intermediate", 1, claim.job_id)
        self._given_engine.store.release(claim.job_id, claim.execution, self.name)

    def prepare_job_execution(self, job: RQJob, remove_from_intermediate_queue: bool = False) -> None:
        # rq/worker/base.py: rq clears the intermediate list only for a worker of one queue; our claim always uses it.
        super().prepare_job_execution(job, remove_from_intermediate_queue or self.engine is not None)

    def main_work_horse(self, job: RQJob, queue: rq.Queue) -> None:
        # rq/worker/base.py: an rq horse outlives its worker, and would run on while another worker starts its job.
        if self.engine is not None:
            die_with_parent(os.getppid())
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        # rq/worker/base.py: SIGTERM would end the horse, and a platform sends that to every process at once.
        super().setup_work_horse_signals()
        if self.engine is not None:
            ignore_stop_signals()

    def maintain_heartbeats(self, job: RQJob, *args: Any, **kwargs: Any) -> None:
        # rq/worker/worker_classes.py, monitor_work_horse: called every MONITOR_SECONDS while the horse runs.
        if self.engine is None or self._foreign is None:
            super().maintain_heartbeats(job, *args, **kwargs)
            return
        lease = Lease.HELD
        try:
            super().maintain_heartbeats(job, *args, **kwargs)
            self._read_commands()
            lease = self.engine.store.heartbeat(self.name, job.id, self._foreign.execution, WORKER_TTL + 60)
        except NOT_NOW as error:
            self._trouble.away(error)
        if lease is not Lease.HELD or time.monotonic() >= self.stop.kill_at - MONITOR_SECONDS:
            self.kill_horse()

    def get_heartbeat_ttl(self, job: RQJob) -> int:
        # rq/worker/base.py, for StartedJobRegistry.cleanup (rq/registry.py), which compares the clocks of two workers.
        # They may differ by an hour. Here the lease decides who is dead, on the broker's clock.
        return super().get_heartbeat_ttl(job) if self.engine is None else FOREIGN_TTL

    def handle_work_horse_killed(self, job: RQJob, *args: Any, **kwargs: Any) -> None:
        # rq/worker/worker_classes.py, monitor_work_horse: called when a horse ended unexpectedly, right before
        # handle_job_failure, which would spend a retry or fail the job.
        self._horse_died = True
        super().handle_work_horse_killed(job, *args, **kwargs)

    def handle_job_failure(self, job: RQJob, queue: rq.Queue, *args: Any, **kwargs: Any) -> None:
        if self.engine is None or self._foreign is None or not self._horse_died:
            super().handle_job_failure(job, queue, *args, **kwargs)
            return
        outcome = SHUTDOWN if self.stop.requested else after_death(self._foreign.deaths, Death("its process ended"))
        ended = self.engine.store.finish(job.id, self._foreign.execution, self.name, outcome)
        level = logging.INFO if ended is OutcomeKind.CANCELLED else logging.WARNING
        logger.log(level, "%s: the process of plain RQ's job %s died: %s", self.name, job.id, ended or "lost")
        self.execution = None

    # --- signals and commands ----------------------------------------------------------

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the running job, or put it back when the grace time ends. Further signals change nothing.

        rq raises an exception in its handler (rq/worker/base.py, request_stop), whatever is going on at that moment.
        It lost 7 of 80 jobs that way. A flag is checked between two steps.
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
        # rq/worker/base.py starts a thread here, and a process with threads is not safe to fork. It is soon enough to
        # read commands between two steps: a cancellation through our API does not use them.
        if self.engine is None:
            super().subscribe()
            return
        self.pubsub = self.connection.pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload})

    def _read_commands(self) -> None:
        try:
            while self.pubsub is not None and self.pubsub.get_message(timeout=0):
                continue
        except REFUSED as error:
            self._trouble.away(error)
        except NOT_NOW:
            logger.debug("%s: no commands, the broker is away", self.name)

    # --- rq's housekeeping -------------------------------------------------------------

    @property
    def connection_timeout(self) -> int:
        # rq/worker/base.py, _set_connection, would raise our socket timeout to make room for its long BLPOP.
        return 0 if self.engine is not None else super().connection_timeout

    def run_maintenance_tasks(self) -> None:
        if self.engine is None:
            super().run_maintenance_tasks()
            return
        try:
            super().run_maintenance_tasks()
        except NOT_NOW:
            raise
        except Exception:  # one bad record of a job of plain RQ must not stop a worker (rq/registry.py, cleanup)
            logger.exception("%s: rq's maintenance failed", self.name)
            self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # rq infers None from its __init__
