"""The steps of a job's life that its worker and the scheduler take: claim, report, finish, put back, promote."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any, cast

import redis

from jobs.engine.broker.malformed import readable
from jobs.engine.broker.malformed import text as decoded
from jobs.engine.errors import ReferenceUnresolved

from .claims import Claim, ForeignClaim, Holding, UnreadableRecord, read_claim
from .leases import LEASE_SECONDS, SUSPICION_SECONDS, Lease
from .outcome import Outcome, OutcomeKind
from .records import text
from .scripts import Scripts

logger = logging.getLogger("workhorse")

#: The error of a job whose record can't be read.
UNREADABLE = "This job's record in the broker can't be read, so the job can't run; submit it again."
#: The newest lines of a job's log are kept, this many.
KEEP_LOG_LINES = 2_000


class WorkerSteps:
    def __init__(self, connection: redis.Redis, max_running_per_user: int = 0) -> None:
        self.connection = connection
        #: The limit for claims; 0: no limit.
        self._max_running_per_user = max_running_per_user
        self.scripts = Scripts(connection)
        #: The execution of a claim that had no reply yet, and when it was first asked for.
        self._asked: tuple[str, float] = ("", 0.0)

    def claim(self, worker: str, execution: str, queues: Sequence[str]) -> Claim | ForeignClaim | None:
        """Take the first job of the first queue that has one. Return None if all queues are empty."""
        return self._claimed([b"again"], worker, execution, queues)

    def _claimed(
        self, reply: Sequence[Any], worker: str, execution: str, queues: Sequence[str]
    ) -> Claim | ForeignClaim | None:
        """Read a reply of claim.lua. A job whose record can't be used fails here, and the next one is claimed."""
        while reply[0] != b"empty":
            if reply[0] != b"again":
                try:
                    return read_claim(reply, execution, self._asked[1])
                except (ReferenceUnresolved, UnreadableRecord) as error:
                    self._refuse(reply, worker, execution, error)
            reply = self._ask("claim", execution, *self._claim_arguments(worker, execution, queues))
        return None

    def _ask(self, step: str, execution: str, *arguments: Any) -> Any:
        """Run a step that claims. If the last reply was lost, the claim may have been made at the first time."""
        if self._asked[0] != execution:
            self._asked = (execution, time.monotonic())
        reply = self.scripts.run(step, *arguments)
        self._asked = ("", self._asked[1])
        return reply

    def _refuse(self, reply: Sequence[Any], worker: str, execution: str, error: Exception) -> None:
        kind, queue, job_id = reply[:3]
        logger.warning("%s: job %r can't be run: %s", worker, job_id, error)
        if kind == b"foreign":
            self.connection.lrem(f"rq:queue:{queue.decode()}:intermediate", 1, job_id)
            self.scripts.run("release", job_id, execution, worker)
        else:
            message = error.message if isinstance(error, ReferenceUnresolved) else UNREADABLE
            self.finish(job_id, execution, worker, Outcome(OutcomeKind.FAILED, message, type(error).__name__))

    def _claim_arguments(self, worker: str, execution: str, queues: Sequence[str]) -> list[Any]:
        return [worker, execution, LEASE_SECONDS, self._max_running_per_user, *queues]

    def release(self, job_id: str, execution: str, worker: str) -> None:
        """End the lease on a job of plain RQ that has ended."""
        self.scripts.run("release", job_id, execution, worker)

    def heartbeat(self, worker: str, job_id: str, execution: str, worker_ttl: int) -> Lease:
        """Extend the lease on a job."""
        return Lease(text(self.scripts.run("heartbeat", worker, job_id, execution, LEASE_SECONDS, worker_ttl)))

    def report(
        self,
        job_id: str,
        execution: str,
        *,
        progress: dict[str, Any] | None = None,
        checkpoint: str | None = None,
        positions: str | None = None,
        lines: Sequence[str] = (),
    ) -> bool:
        """Write the progress, checkpoint, positions and log lines of a running attempt.

        Returns:
            False if the execution no longer holds the job; then nothing was written.
        """
        state = (json.dumps(progress) if progress else "", checkpoint or "", positions or "")
        return bool(self.scripts.run("report", job_id, execution, *state, KEEP_LOG_LINES, *lines))

    def finish(self, job_id: str, execution: str, worker: str, outcome: Outcome) -> OutcomeKind | None:
        """End an execution. Return how the job ended or continues, or None if the execution no longer holds it."""
        return _ended(self.scripts.run("finish", *_finish_arguments(job_id, execution, worker, outcome)))

    def finish_and_claim(
        self,
        job_id: str,
        execution: str,
        worker: str,
        outcome: Outcome,
        *,
        claim_next: str | None,
        queues: Sequence[str],
    ) -> tuple[OutcomeKind | None, Claim | ForeignClaim | None]:
        """End an execution and, with `claim_next`, claim for that execution in the same script."""
        if not claim_next:
            return self.finish(job_id, execution, worker, outcome), None
        claim = self._claim_arguments(worker, claim_next, queues)[1:]
        finish = _finish_arguments(job_id, execution, worker, outcome)
        ended, claimed = self._ask("finish_and_claim", claim_next, *finish, *claim)
        return _ended(ended), self._claimed(claimed, worker, claim_next, queues)

    def note_worker(self, worker: str, memory_bytes: int, worker_ttl: int) -> bool | None:
        """Note that a worker is alive, and its memory.

        Returns:
            True if it has been asked to take no more jobs, None if its record has expired.
        """
        answer = int(self.scripts.run("note_worker", worker, memory_bytes, worker_ttl))
        return None if answer < 0 else bool(answer)

    def queues(self) -> list[str]:
        """Return the names of all queues, also of other RQ applications."""
        keys = readable("rq:queues", lambda: cast(set[bytes], self.connection.smembers("rq:queues"))) or ()
        return [decoded(key).removeprefix("rq:queue:") for key in keys]

    def announce(self, worker: str, can: Sequence[str], queues: Sequence[str], seconds: int) -> list[str]:
        """Note what a worker can do and which queues it serves, and that they are served for so many seconds.

        Returns:
            The names of all queues.
        """
        names = self.scripts.run("announce", worker, ",".join(can), ",".join(queues), seconds)
        return [decoded(name) for name in names]

    def drain(self, worker: str, *, draining: bool) -> bool:
        """Ask a worker to take no more jobs, or withdraw that. Return False if there is no such worker."""
        return bool(self.scripts.run("drain", worker, "1" if draining else ""))

    # --- the scheduler -------------------------------------------------------------------

    def promote(self, at_most: int = 200) -> tuple[int, float | None]:
        """Move due jobs into their queues.

        Returns:
            How many were moved, and the seconds until the next one is due.
        """
        moved, nearest = self.scripts.run("promote", at_most)
        return int(moved), float(nearest) if nearest else None

    def watch(self) -> set[str]:
        """Wake workers for jobs whose push has rung no doorbell. Return the names of the chores that have work."""
        return {text(chore) for chore in self.scripts.run("watch")}

    def end_late(self, at_most: int = 100) -> int:
        """Cancel jobs that have not started by their deadline. Return how many deadlines had passed."""
        return int(self.scripts.run("end_late", at_most))

    def suspects(self) -> list[Holding]:
        """Return the holdings whose lease was seen expired twice."""
        return [Holding.read(*found) for found in self.scripts.run("suspects", SUSPICION_SECONDS)]

    def held_by(self, name_prefix: str) -> list[Holding]:
        """Return what the workers hold whose names begin with `name_prefix`. The cost grows with the workers."""
        held = []
        for key in cast(set[bytes], self.connection.smembers("rq:workers")):
            if text(key).startswith(f"rq:worker:{name_prefix}"):
                job_id, execution = cast(list[bytes | None], self.connection.hmget(key, "current_job", "execution"))
                if job_id and execution:
                    deaths = cast("bytes | None", self.connection.hget(f"rq:job:{text(job_id)}", "deaths"))
                    held.append(Holding.read(job_id, execution, deaths))
        return held

    def sweep(self, at_most: int = 500) -> int:
        """Remove expired jobs from the indexes and registries, and queues that are no longer used.

        Returns:
            How many jobs were removed.
        """
        return int(self.scripts.run("sweep", at_most))

    def make_room(self, at_most: int = 100) -> int:
        """Call back jobs that wait for a limit that has room, where no claim and no finish did. Return how many had."""
        return int(self.scripts.run("make_room", at_most))

    def wait_for_doorbell(self, names: Sequence[str], seconds: float) -> str | None:
        """Sleep until the doorbell of a queue or worker rings, and return its name; or return None after `seconds`."""
        rung = cast("Sequence[bytes] | None", self.connection.blpop([f"wh:doorbell:{name}" for name in names], seconds))
        return text(rung[0]).removeprefix("wh:doorbell:") if rung else None


def _ended(reply: bytes) -> OutcomeKind | None:
    return None if reply == b"lost" else OutcomeKind(text(reply))


def _finish_arguments(job_id: str, execution: str, worker: str, outcome: Outcome) -> list[Any]:
    """Return the arguments of finish.lua: an empty one for each part that this kind of outcome does not use."""
    completed = outcome.kind is OutcomeKind.COMPLETED
    parts = (
        outcome.error,
        outcome.error_type,
        outcome.meta if completed else None,
        outcome.reason,
        outcome.delay_seconds or None,
        None if outcome.charged else 1,
        outcome.deaths or None,
        outcome.result,
        outcome.trace,
    )
    return [job_id, execution, worker, outcome.kind.value, *("" if part is None else part for part in parts)]
