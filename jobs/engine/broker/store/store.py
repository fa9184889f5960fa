"""What happens to a job in the broker, one atomic step for each method, and how it is read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any, cast

import redis
from pydantic_core import to_json

from jobs.engine.broker import malformed
from jobs.engine.errors import ReferenceUnresolved

from .claims import Claim, ForeignClaim, Holding, UnreadableRecord, read_claim
from .counters import Counters
from .feeds import Feeds
from .history import read_event, read_log_line
from .leases import LEASE_SECONDS, SUSPICION_SECONDS, Lease
from .outcome import Outcome, OutcomeKind
from .records import Record, mapping, text
from .schedule_records import ScheduleRecords
from .scripts import Scripts
from .verdicts import CancelVerdict, RetryReply, SubmitReply

logger = logging.getLogger("workhorse")

#: What is said of a job whose record nobody can read.
UNREADABLE = "This job's record in the broker can't be read, so the job can't run; submit it again."
#: Newest lines of a job's log that are kept.
KEEP_LOG_LINES = 2_000
#: Records that one page of a filtered list looks at.
PAGE_LOOK = 1_000


class Store:
    def __init__(self, connection: redis.Redis, max_running_per_user: int = 0) -> None:
        self.connection = connection
        #: What a claim goes by; 0: no limit.
        self._max_running_per_user = max_running_per_user
        self.scripts = Scripts(connection)
        self.feeds = Feeds(connection)
        self.schedules = ScheduleRecords(self.scripts)
        self.counters = Counters(self.scripts)

    def submit(
        self, shared: dict[str, Any], jobs: Iterable[tuple[dict[str, Any], bytes]], admission: bytes = b""
    ) -> SubmitReply:
        """Store jobs, all of them or none, and admit the request that asks for them if an admission is given."""
        arguments: list[str | bytes] = [admission, to_json(shared)]
        for description, data in jobs:
            arguments += [to_json(description), data]
        return SubmitReply.read(self.scripts.run("submit", *arguments))

    def is_bound(self, idempotency: str) -> bool:
        """Return True if this idempotency key has a job or group that is still there."""
        bound = cast("bytes | None", self.connection.get(idempotency))
        bound_id = text(bound).partition(":")[2] if bound else ""
        return bool(bound and self.connection.exists(f"rq:job:{bound_id}", f"wh:group:{bound_id}"))

    def claim(self, worker: str, execution: str, queues: Sequence[str]) -> Claim | ForeignClaim | None:
        return self._claimed([b"again"], worker, execution, queues)

    def _claimed(
        self, answer: Sequence[Any], worker: str, execution: str, queues: Sequence[str]
    ) -> Claim | ForeignClaim | None:
        """What was claimed, or None. A job that can't be run by what is on record of it ends here."""
        while answer[0] != b"empty":
            if answer[0] != b"again":
                try:
                    return read_claim(answer, execution)
                except (ReferenceUnresolved, UnreadableRecord) as error:
                    self._refuse(answer, worker, execution, error)
            answer = self.scripts.run("claim", *self._claim_arguments(worker, execution, queues))
        return None

    def _refuse(self, answer: Sequence[Any], worker: str, execution: str, error: Exception) -> None:
        kind, queue, job_id = answer[:3]
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
        """End the lease on a job of plain RQ, which rq's own path has brought to its end."""
        self.scripts.run("release", job_id, execution, worker)

    def heartbeat(self, worker: str, job_id: str, execution: str, worker_ttl: int) -> Lease:
        """Prolong the lease."""
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
        """Write what a running attempt has to say. False: the execution holds the job no more; nothing was written."""
        news = json.dumps(progress) if progress else ""
        return bool(
            self.scripts.run(
                "report", job_id, execution, news, checkpoint or "", positions or "", KEEP_LOG_LINES, *lines
            )
        )

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
        """End an execution and, with `claim_next`, claim for that execution: two scripts in one round trip."""
        calls: list[tuple[str, list[Any]]] = [("finish", _finish_arguments(job_id, execution, worker, outcome))]
        if claim_next:
            calls.append(("claim", self._claim_arguments(worker, claim_next, queues)))
        ended, *claimed = self.scripts.run_all(calls)
        following = self._claimed(claimed[0], worker, claim_next, queues) if claim_next else None
        return _ended(ended), following

    def cancel(self, job_id: str) -> CancelVerdict:
        return CancelVerdict(text(self.scripts.run("cancel", job_id)))

    def retry(self, job_id: str, max_active: int) -> RetryReply:
        """Run a failed or cancelled job again, unless its owner has `max_active` unfinished jobs."""
        return RetryReply.read(self.scripts.run("retry", job_id, max_active))

    def remove(self, job_id: str, user_id: str) -> None:
        self.scripts.run("remove", job_id, user_id)

    def group(self, group_id: str) -> tuple[dict[str, bytes], list[list[bytes]]] | None:
        """A group's record; and of each of its jobs id, status, type, meta, error and error's type."""
        answer = self.scripts.run("group", group_id)
        return (mapping(answer[0]), answer[1]) if answer else None

    def group_of(self, job_id: str) -> tuple[str, str] | None:
        """The kind and the id of the group that a job came with."""
        group_id = self._field(f"rq:job:{job_id}", "group")
        kind = self._field(f"wh:group:{group_id}", "kind") if group_id else ""
        return (kind, group_id) if kind else None

    def _field(self, key: str, name: str) -> str:
        value = malformed.readable(key, lambda: cast("bytes | None", self.connection.hget(key, name)))
        return malformed.text(value or b"")

    def cancel_group(self, group_id: str) -> int:
        """Cancel what has not ended of a group. Answers how many jobs that was."""
        return int(self.scripts.run("cancel_group", group_id))

    def promote(self, queues: Sequence[str], at_most: int = 200) -> tuple[int, float | None]:
        """Move due jobs into their queues: how many, and the seconds until the next one is due."""
        moved, nearest = self.scripts.run("promote", at_most, *queues)
        return int(moved), float(nearest) if nearest else None

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

    def sweep(self, queues: Sequence[str], at_most: int = 500) -> int:
        return int(self.scripts.run("sweep", at_most, *queues))

    def make_room(self, at_most: int = 100) -> int:
        """Put back who waits for a limit that has room, where no finish did: a record was lost, a limit raised."""
        return int(self.scripts.run("make_room", at_most))

    def find(self, job_ids: Sequence[str]) -> list[Record]:
        """Read these jobs. What is gone is left out."""
        return [Record.read(found) for found in self.scripts.run("find", *job_ids)]

    def look(self, job_id: str, admission: bytes) -> tuple[int, Record | None]:
        """Read one job for a request: the answer of `admit`, and the job if it is there."""
        early, found = self.scripts.run("look", admission, job_id)
        return early, Record.read(found) if found else None

    def page(
        self,
        user_id: str,
        statuses: Sequence[str],
        *,
        highest: str,
        lowest: str,
        after: str,
        limit: int,
        job_type: str,
        tag: str,
    ) -> tuple[list[str], tuple[str, str] | None]:
        """The ids of one page, and where the next one begins."""
        answer = self.scripts.run(
            "page", user_id, highest, lowest, after, limit, job_type, tag, PAGE_LOOK, ",".join(statuses)
        )
        ids = [malformed.text(job_id) for job_id in answer[0]]
        return ids, (text(answer[1]), malformed.text(answer[2])) if len(answer) > 1 else None

    def indexed(self, user_id: str, status: str, at_most: int) -> list[str]:
        return [
            text(each)
            for each in cast(list[bytes], self.connection.zrange(f"wh:jobs:{user_id}:{status}", 0, at_most - 1))
        ]

    def count(self, user_id: str, statuses: Sequence[str]) -> list[int]:
        pipeline = self.connection.pipeline(transaction=False)
        for status in statuses:
            pipeline.zcard(f"wh:jobs:{user_id}:{status}")
        return [int(count or 0) for count in malformed.replies(pipeline)]

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return a job's history, oldest entry first."""
        key = f"wh:events:{job_id}"
        found = malformed.readable(key, lambda: cast(list[bytes], self.connection.lrange(key, 0, -1)))
        return malformed.readable_all(key, read_event, found or [])

    def logs(self, job_id: str, start: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return log lines from the `start`-th one ever written, and the number of the first of them still kept."""
        pipeline = self.connection.pipeline()
        pipeline.hget(f"rq:job:{job_id}", "logged")
        pipeline.llen(f"wh:logs:{job_id}")
        logged, kept = malformed.replies(pipeline)
        if not kept:
            return [], max(start, malformed.whole(logged))
        oldest = max(0, malformed.whole(logged) - kept)
        first = max(start, oldest)
        lines = cast(
            list[bytes], self.connection.lrange(f"wh:logs:{job_id}", first - oldest, first - oldest + limit - 1)
        )
        return [read_log_line(line) for line in lines], first

    def wait_for_doorbell(self, queues: Sequence[str], seconds: float) -> None:
        """Sleep until something is pushed to one of the queues, `seconds` at most."""
        self.connection.blpop([f"wh:doorbell:{queue}" for queue in queues], seconds)


def _ended(reply: bytes) -> OutcomeKind | None:
    return None if reply == b"lost" else OutcomeKind(text(reply))


def _finish_arguments(job_id: str, execution: str, worker: str, outcome: Outcome) -> list[Any]:
    """Return the arguments of finish.lua. What its kind has no use for is left out."""
    completed = outcome.kind is OutcomeKind.COMPLETED
    fields = {
        "kind": outcome.kind,
        "error": outcome.error,
        "error_type": outcome.error_type,
        "meta": outcome.meta if completed else None,
        "reason": outcome.reason,
        "delay": outcome.delay_seconds or None,
        "uncharged": None if outcome.charged else True,
        "deaths": outcome.deaths or None,
    }
    given = json.dumps({name: value for name, value in fields.items() if value is not None})
    return [job_id, execution, worker, given, outcome.result, outcome.trace]
