"""The records of jobs: the steps of a job's life that its client takes, and all that is read of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import redis
from pydantic_core import to_json

from jobs.engine.broker import malformed

from .bulk_steps import BulkSteps
from .control_records import ControlRecords
from .counters import Counters
from .feeds import Feeds
from .history import Event, LogLine, read_event, read_log_line
from .new_jobs import arguments, new_record
from .records import Record, mapping, text
from .schedule_records import ScheduleRecords
from .verdicts import CancelVerdict, RetryReply, SubmitReply
from .worker_steps import WorkerSteps

#: Records that one page of a filtered list reads.
PAGE_LOOK = 1_000


class Store(WorkerSteps):
    """Each step is one script, and atomic."""

    def __init__(self, connection: redis.Redis, max_running_per_user: int = 0) -> None:
        super().__init__(connection, max_running_per_user)
        self.feeds = Feeds(connection)
        self.schedules = ScheduleRecords(self.scripts)
        self.counters = Counters(self.scripts)
        self.bulk = BulkSteps(self.scripts)
        self.control = ControlRecords(self.scripts)

    def submit(
        self, shared: dict[str, Any], jobs: Iterable[tuple[dict[str, Any], bytes]], admission: bytes = b""
    ) -> SubmitReply:
        """Store jobs, all of them or none. With an admission, the same step admits the request that asks for them."""
        call: list[Any] = [admission, to_json(shared)]
        record: dict[str, Any] = {}
        for description, data in jobs:
            record = new_record(description, data, shared)
            call += arguments(description, record)
        return SubmitReply.read(self.scripts.run("submit", *call), record)

    def is_bound(self, idempotency: str) -> bool:
        """Return True if this idempotency key has a job or group that still exists."""
        bound = malformed.readable(idempotency, lambda: cast("bytes | None", self.connection.get(idempotency)))
        bound_id = malformed.text(bound or b"").partition(":")[2]
        return bool(bound and self.connection.exists(f"rq:job:{bound_id}", f"wh:group:{bound_id}"))

    def cancel(self, job_id: str) -> CancelVerdict:
        """Cancel a waiting job, or have the worker of a running one stop it."""
        return CancelVerdict(text(self.scripts.run("cancel", job_id)))

    def retry(self, job_id: str, max_active: int) -> RetryReply:
        """Run a failed or cancelled job again, unless its owner has `max_active` unfinished jobs."""
        return RetryReply.read(self.scripts.run("retry", job_id, max_active))

    def check_retry(self, job_id: str) -> RetryReply:
        """Return what `retry` would, for an owner who has no other unfinished jobs, without changing anything."""
        return RetryReply.read(self.scripts.run("check_retry", job_id))

    def remove(self, job_id: str, user_id: str) -> None:
        """Delete a job of a user who is being removed. A running job is cancelled first, and deleted at its end."""
        self.scripts.run("remove", job_id, user_id)

    # --- jobs ------------------------------------------------------------------------------

    def find(self, job_ids: Sequence[str]) -> list[Record]:
        """Read these jobs. Those that do not exist are left out."""
        return [Record.read(found) for found in self.scripts.run("find", *job_ids)]

    def look(self, job_id: str, admission: bytes) -> tuple[int, Record | None]:
        """Read one job for a request. Return the result of `admit`, and the job if it exists."""
        early, found = self.scripts.run("look", admission, job_id)
        return early, Record.read(found) if found else None

    def events(self, job_id: str) -> list[Event]:
        """Return a job's history, oldest event first."""
        key = f"wh:events:{job_id}"
        found = malformed.readable(key, lambda: cast(list[bytes], self.connection.lrange(key, 0, -1)))
        return malformed.readable_all(key, read_event, found or [])

    def logs(self, job_id: str, start: int, limit: int) -> tuple[list[LogLine], int]:
        """Return log lines from number `start` on, and the number of the first of them: older ones may be gone."""
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

    # --- a user's jobs ---------------------------------------------------------------------

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
        """Return the ids of one page, newest first, and the score and id after which the next page begins."""
        wanted = (job_type, tag, PAGE_LOOK, ",".join(statuses))
        answer = self.scripts.run("page", user_id, highest, lowest, after, limit, *wanted)
        ids = [malformed.text(job_id) for job_id in answer[0]]
        return ids, (text(answer[1]), malformed.text(answer[2])) if len(answer) > 1 else None

    def indexed(self, user_id: str, status: str, at_most: int) -> list[str]:
        """Return the ids of a user's oldest jobs in a status."""
        ids = cast(list[bytes], self.connection.zrange(f"wh:jobs:{user_id}:{status}", 0, at_most - 1))
        return [text(each) for each in ids]

    def count(self, user_id: str, statuses: Sequence[str]) -> list[int]:
        """Return how many of a user's jobs are in each of these statuses, all at the same moment."""
        pipeline = self.connection.pipeline()
        for status in statuses:
            pipeline.zcard(f"wh:jobs:{user_id}:{status}")
        return [int(count or 0) for count in malformed.replies(pipeline)]

    # --- groups ------------------------------------------------------------------------------

    def group(self, group_id: str) -> tuple[dict[str, bytes], list[list[bytes]]] | None:
        """Return a group's record, and of each of its jobs: id, status, type, meta, error and error's type."""
        answer = self.scripts.run("group", group_id)
        return (mapping(answer[0]), answer[1]) if answer else None

    def group_of(self, job_id: str) -> tuple[str, str] | None:
        """Return the kind and the id of the group that a job belongs to, if it belongs to one that still exists."""
        group_id = self._field(f"rq:job:{job_id}", "group")
        kind = self._field(f"wh:group:{group_id}", "kind") if group_id else ""
        return (kind, group_id) if kind else None

    def _field(self, key: str, name: str) -> str:
        value = malformed.readable(key, lambda: cast("bytes | None", self.connection.hget(key, name)))
        return malformed.text(value or b"")

    def cancel_group(self, group_id: str) -> int:
        """Cancel the jobs of a group that have not ended. Return how many."""
        return int(self.scripts.run("cancel_group", group_id))
