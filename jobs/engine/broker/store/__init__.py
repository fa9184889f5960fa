"""Every key, record and script that the engine keeps in the broker.

A script is one atomic step of a job's life: submit, claim, report, finish, cancel, retry. Each is a file of Lua
beside this one, put behind `prelude.lua`, which holds what they share. Keys that begin with `rq:` are RQ's
own, in RQ's own formats (2.12.0), so that every RQ tool sees the truth; those that begin with `wh:` are ours.

| key | holds |
|---|---|
| `rq:job:<id>` | the job: RQ's fields, and ours: `user`, `type`, `version`, `attempt`, `execution` (the fence) … |
| `wh:events:<id>` | its history, newest 200 entries |
| `wh:feed:<user>` | the events of all of a user's jobs, newest 10,000, gone after a day without any |
| `wh:logs:<id>` | what it printed and logged |
| `wh:checkpoint:<id>` | the state it saved |
| `wh:jobs:<user>:<status>` | a user's jobs by status, scored by creation |
| `wh:leases`, `wh:suspects` | who holds what until when · leases seen expired once |
| `wh:expiry` | when an ended job leaves the indexes |
| `wh:idempotency:<user>:<digest>` | the job that an Idempotency-Key started |
| `wh:pushed:<queue>`, `wh:popped:<queue>` | counters behind the queue position |
| `wh:slots:<limit>`, `wh:limited:<queue>:<limit>` | who holds a slot of `user:<id>` or `type:<name>` · who waits |
| `wh:group:<id>`, `wh:group:<id>:ended` | a batch or pipeline · how those of its jobs ended that have |
| `wh:schedule:<id>`, `wh:schedules`, `wh:schedules:<user>` | a schedule · all by their next tick · a user's |
| `wh:limited` | the limits that somebody waits for |
| `wh:outbox` | events to be told of over HTTP, until the scheduler has made jobs of them |
| `wh:webhooks:<user>`, `wh:webhook-secrets:<user>` | a user's subscriptions · what signs, by its end |
| `wh:metrics:<name>` | counts by label since the broker is there, for `/metrics` |
| `wh:doorbell:<queue>` | rung at each push, so that an idle worker need not ask |

Errors of redis-py pass through: `client` turns them into ours for callers, a worker waits and asks again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from pydantic_core import to_json

from jobs.engine.errors import ReferenceUnresolved

from .claims import Claim, ForeignClaim, UnreadableRecord, mapping, read_claim
from .sources import source

__all__ = ["Claim", "FeedBounds", "FeedEntry", "ForeignClaim", "Record", "Store"]

logger = logging.getLogger("workhorse")

#: Seconds without a heartbeat after which a worker may be taken for dead; and between two of its heartbeats.
LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 1.0
#: Seconds between the two looks that find a lease expired. Longer than a heartbeat takes to get through.
SUSPICION_SECONDS = 2.5
#: What is said of a job whose record nobody can read.
UNREADABLE = "What the broker has on record of this job can't be read, so it can't be run; submit it again."
#: Newest lines of a job's log that are kept.
KEEP_LOG_LINES = 2_000
#: Records that one page of a filtered list looks at.
PAGE_LOOK = 1_000

_SCRIPTS = (
    "submit claim heartbeat report finish cancel retry remove promote release "
    "suspects sweep make_room find look page cancel_group group "
    "schedule unschedule skip_tick due_schedules metrics"
).split()


@dataclass(frozen=True)
class FeedEntry:
    """That a job came to a version, at a position in its owner's feed."""

    position: int
    job_id: str
    version: int

    @classmethod
    def read(cls, entry: bytes) -> FeedEntry:
        position, job_id, version = entry.split(b" ")
        return cls(int(position), _text(job_id), int(version))


@dataclass(frozen=True)
class FeedBounds:
    """The first and the last position of a feed, None if it is empty; its length; the broker's time in microseconds."""

    first: int | None
    last: int | None
    length: int
    now: int


@dataclass(frozen=True)
class Record:
    """A job as the broker has it: RQ's hash, the last entry of RQ's results, its queue's counter, the broker's time."""

    job_id: str
    fields: dict[str, bytes]
    result: dict[str, bytes]
    popped: int
    now: float


class Store:
    def __init__(self, connection: redis.Redis, max_running_per_user: int = 0) -> None:
        self.connection = connection
        #: What a claim goes by; 0: no limit.
        self._max_running_per_user = max_running_per_user
        self._scripts = {name: connection.register_script(source(name)) for name in _SCRIPTS}

    def _run(self, script: str, *arguments: str | bytes | int | float) -> Any:
        try:
            return self.connection.execute_command("EVALSHA", self._scripts[script].sha, 0, *arguments)
        except redis.exceptions.NoScriptError:
            # A broker that has started anew knows no script; nothing of this one has run.
            return self._scripts[script](args=list(arguments))

    def _run_all(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Run scripts one after the other, in one round trip."""
        pipeline = self.connection.pipeline(transaction=False)
        for script, arguments in calls:
            pipeline.execute_command("EVALSHA", self._scripts[script].sha, 0, *arguments)
        answers = pipeline.execute(raise_on_error=False)
        for place, (script, arguments) in enumerate(calls):
            if isinstance(answers[place], redis.exceptions.NoScriptError):
                # A broker that has started anew knows no script; nothing of this one has run.
                answers[place] = self._run(script, *arguments)
            elif isinstance(answers[place], Exception):
                raise answers[place]
        return answers

    def submit(self, shared: dict[str, Any], jobs: Iterable[tuple[dict[str, Any], bytes]]) -> list[str]:
        """The verdict, and what it is about: an id, a number."""
        arguments: list[str | bytes] = ["", to_json(shared)]
        for description, data in jobs:
            arguments += [to_json(description), data]
        return _verdict(self._run("submit", *arguments))

    def submit_one(
        self, shared: dict[str, Any], description: dict[str, Any], data: bytes, admission: bytes
    ) -> tuple[list[str], Record | None]:
        """The verdict on a request, with the job that was stored for it now or before, unless that is gone."""
        answer = self._run("submit", admission, to_json(shared), to_json(description), data)
        return _verdict(answer), _record(answer[2]) if len(answer) == 3 and isinstance(answer[2], list) else None

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
            answer = self._run("claim", *self._claim_arguments(worker, execution, queues))
        return None

    def _refuse(self, answer: Sequence[Any], worker: str, execution: str, error: Exception) -> None:
        kind, queue, job_id = answer[:3]
        logger.warning("%s: job %r can't be run: %s", worker, job_id, error)
        if kind == b"foreign":
            self.connection.lrem(f"rq:queue:{queue.decode()}:intermediate", 1, job_id)
            self._run("release", job_id, execution, worker)
        else:
            message = error.message if isinstance(error, ReferenceUnresolved) else UNREADABLE
            outcome = {"kind": "failed", "error": message, "error_type": type(error).__name__}
            self._run("finish", job_id, execution, worker, json.dumps(outcome), "", "")

    def _claim_arguments(self, worker: str, execution: str, queues: Sequence[str]) -> list[Any]:
        return [worker, execution, LEASE_SECONDS, self._max_running_per_user, *queues]

    def release(self, job_id: str, execution: str, worker: str) -> None:
        """End the lease on a job of plain RQ, which rq's own path has brought to its end."""
        self._run("release", job_id, execution, worker)

    def heartbeat(self, worker: str, job_id: str, execution: str, worker_ttl: int) -> str:
        """Prolong the lease. Answers `held`, `cancel` (somebody wants it stopped) or `lost` (it is no longer ours)."""
        return _text(self._run("heartbeat", worker, job_id, execution, LEASE_SECONDS, worker_ttl))

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
            self._run("report", job_id, execution, news, checkpoint or "", positions or "", KEEP_LOG_LINES, *lines)
        )

    def finish(
        self,
        job_id: str,
        execution: str,
        worker: str,
        outcome: dict[str, Any],
        *,
        result: str = "",
        trace: str = "",
    ) -> str:
        """End an execution. Answers what became of the job, or `lost`."""
        return _text(self._run("finish", job_id, execution, worker, json.dumps(outcome), result, trace))

    def finish_and_claim(
        self,
        job_id: str,
        execution: str,
        worker: str,
        outcome: dict[str, Any],
        *,
        result: str,
        trace: str,
        claim_next: str | None,
        queues: Sequence[str],
    ) -> tuple[str, Claim | ForeignClaim | None]:
        """End an execution and, with `claim_next`, claim for that execution: two scripts in one round trip."""
        calls: list[tuple[str, list[Any]]] = [
            ("finish", [job_id, execution, worker, json.dumps(outcome), result, trace])
        ]
        if claim_next:
            calls.append(("claim", self._claim_arguments(worker, claim_next, queues)))
        ended, *claimed = self._run_all(calls)
        following = self._claimed(claimed[0], worker, claim_next, queues) if claim_next else None
        return _text(ended), following

    def cancel(self, job_id: str) -> str:
        return _text(self._run("cancel", job_id))

    def retry(self, job_id: str) -> list[str]:
        return [_text(part) for part in self._run("retry", job_id)]

    def remove(self, job_id: str, user_id: str) -> None:
        self._run("remove", job_id, user_id)

    def group(self, group_id: str) -> tuple[dict[str, bytes], list[list[bytes]]] | None:
        """A group's record; and of each of its jobs id, status, type, meta, error and error's type."""
        answer = self._run("group", group_id)
        return (mapping(answer[0]), answer[1]) if answer else None

    def group_of(self, job_id: str) -> tuple[str, str] | None:
        """The kind and the id of the group that a job came with."""
        group_id = cast("bytes | None", self.connection.hget(f"rq:job:{job_id}", "group")) or b""
        kind = cast("bytes | None", self.connection.hget(f"wh:group:{_text(group_id)}", "kind"))
        return (_text(kind), _text(group_id)) if kind else None

    def cancel_group(self, group_id: str) -> int:
        """Cancel what has not ended of a group. Answers how many jobs that was."""
        return int(self._run("cancel_group", group_id))

    def schedule(self, schedule_id: str, user_id: str, record: str, first_tick: int, at_most: int) -> str:
        return _text(self._run("schedule", schedule_id, user_id, record, first_tick, at_most))

    def unschedule(self, schedule_id: str) -> bool:
        return bool(self._run("unschedule", schedule_id))

    def skip_tick(self, schedule_id: str, tick: int, following: int, reason: str) -> None:
        self._run("skip_tick", schedule_id, tick, following, reason)

    def due_schedules(self, at_most: int) -> tuple[float, list[tuple[str, int, str, str]]]:
        """The broker's time; and id, tick, user and record of the schedules whose tick has come."""
        now, due = self._run("due_schedules", at_most)
        return float(now), [(_text(each[0]), int(float(each[1])), _text(each[2]), _text(each[3])) for each in due]

    def find_schedule(self, schedule_id: str) -> tuple[dict[str, str], float | None]:
        """Its fields, none if there is no such schedule, and its next tick."""
        pipeline = self.connection.pipeline()
        pipeline.hgetall(f"wh:schedule:{schedule_id}")
        pipeline.zscore("wh:schedules", schedule_id)
        fields, tick = pipeline.execute()
        return {_text(name): _text(value) for name, value in fields.items()}, tick

    def schedules_of(self, user_id: str) -> list[str]:
        return [_text(each) for each in cast(set[bytes], self.connection.smembers(f"wh:schedules:{user_id}"))]

    def promote(self, queues: Sequence[str], at_most: int = 200) -> tuple[int, float | None]:
        """Move due jobs into their queues: how many, and the seconds until the next one is due."""
        moved, nearest = self._run("promote", at_most, *queues)
        return int(moved), float(nearest) if nearest else None

    def suspects(self) -> list[tuple[str, str]]:
        """The job and execution ids of leases that were seen expired twice."""
        pairs = [_text(member).split(":", 1) for member in self._run("suspects", SUSPICION_SECONDS)]
        return [(job_id, execution) for job_id, execution in pairs]

    def held_by(self, name_prefix: str) -> list[tuple[str, str]]:
        """The job and execution ids held by workers whose names begin so. Reads as much as there are workers."""
        held = []
        for key in cast(set[bytes], self.connection.smembers("rq:workers")):
            if _text(key).startswith(f"rq:worker:{name_prefix}"):
                job_id, execution = cast(list[bytes | None], self.connection.hmget(key, "current_job", "execution"))
                if job_id and execution:
                    held.append((_text(job_id), _text(execution)))
        return held

    def sweep(self, queues: Sequence[str], at_most: int = 500) -> int:
        return int(self._run("sweep", at_most, *queues))

    def make_room(self, at_most: int = 100) -> int:
        """Put back who waits for a limit that has room, where no finish did: a record was lost, a limit raised."""
        return int(self._run("make_room", at_most))

    def find(self, job_ids: Sequence[str]) -> list[Record]:
        """Read these jobs. What is gone is left out."""
        return [_record(found) for found in self._run("find", *job_ids)]

    def look(self, job_id: str, admission: bytes) -> tuple[int, Record | None]:
        """Read one job for a request: the answer of `admit`, and the job if it is there."""
        early, found = self._run("look", admission, job_id)
        return early, _record(found) if found else None

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
        answer = self._run("page", user_id, highest, lowest, after, limit, job_type, tag, PAGE_LOOK, ",".join(statuses))
        ids = [_text(job_id) for job_id in answer[0]]
        return ids, (_text(answer[1]), _text(answer[2])) if len(answer) > 1 else None

    def indexed(self, user_id: str, status: str, at_most: int) -> list[str]:
        return [
            _text(each)
            for each in cast(list[bytes], self.connection.zrange(f"wh:jobs:{user_id}:{status}", 0, at_most - 1))
        ]

    def count(self, user_id: str, statuses: Sequence[str]) -> list[int]:
        pipeline = self.connection.pipeline(transaction=False)
        for status in statuses:
            pipeline.zcard(f"wh:jobs:{user_id}:{status}")
        return [int(count) for count in pipeline.execute()]

    def events(self, job_id: str) -> list[dict[str, Any]]:
        return [json.loads(entry) for entry in cast(list[bytes], self.connection.lrange(f"wh:events:{job_id}", 0, -1))]

    def feed_bounds(self, user_id: str) -> FeedBounds:
        key = f"wh:feed:{user_id}"
        pipeline = self.connection.pipeline()
        pipeline.lindex(key, 0)
        pipeline.lindex(key, -1)
        pipeline.llen(key)
        pipeline.time()
        first, last, length, (seconds, micros) = pipeline.execute()
        ends = [FeedEntry.read(each).position if each else None for each in (first, last)]
        return FeedBounds(ends[0], ends[1], int(length), seconds * 1_000_000 + micros)

    def feed(self, user_id: str, index: int, limit: int) -> list[FeedEntry]:
        """Entries of a feed from the `index`-th of those that are kept."""
        found = self.connection.lrange(f"wh:feed:{user_id}", index, index + limit - 1)
        return [FeedEntry.read(entry) for entry in cast(list[bytes], found)]

    def forget_feed(self, user_id: str) -> None:
        self.connection.delete(f"wh:feed:{user_id}")

    def logs(self, job_id: str, start: int, limit: int) -> tuple[list[bytes], int]:
        """Log lines from the `start`-th ever written on, and the number of the first of them that is still there."""
        pipeline = self.connection.pipeline()
        pipeline.hget(f"rq:job:{job_id}", "logged")
        pipeline.llen(f"wh:logs:{job_id}")
        logged, kept = pipeline.execute()
        oldest = int(logged or 0) - int(kept)
        first = max(start, oldest)
        lines = cast(
            list[bytes], self.connection.lrange(f"wh:logs:{job_id}", first - oldest, first - oldest + limit - 1)
        )
        return lines, first

    def metrics(self, queues: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
        """The figures of metrics.lua, and what INFO says of memory and files, if it may be asked."""
        pipeline = self.connection.pipeline(transaction=False)
        self._scripts["metrics"](args=list(queues), client=pipeline)
        pipeline.info("memory")
        pipeline.info("persistence")
        figures, *told = pipeline.execute(raise_on_error=False)
        if isinstance(figures, Exception):
            raise figures
        return figures, {name: value for each in told if isinstance(each, dict) for name, value in each.items()}

    def add_to_metrics(self, counts: dict[str, dict[str, int]], sums: dict[str, dict[str, float]]) -> None:
        """Add to counts and sums of `wh:metrics:<name>`, all of them in one step."""
        pipeline = self.connection.pipeline(transaction=True)
        for name, labels in counts.items():
            for label, count in labels.items():
                pipeline.hincrby(f"wh:metrics:{name}", label, count)
        for name, seconds in sums.items():
            for label, total in seconds.items():
                pipeline.hincrbyfloat(f"wh:metrics:{name}", label, total)
        pipeline.execute()

    def wait_for_doorbell(self, queues: Sequence[str], seconds: float) -> None:
        """Sleep until something is pushed to one of the queues, `seconds` at most."""
        self.connection.blpop([f"wh:doorbell:{queue}" for queue in queues], seconds)


def _verdict(answer: Sequence[Any]) -> list[str]:
    return [_text(part) if isinstance(part, bytes) else str(part) for part in answer if isinstance(part, bytes | int)]


def _record(found: Sequence[Any]) -> Record:
    job_id, fields, result, popped, now = found
    return Record(_text(job_id), mapping(fields), mapping(result), int(popped), float(now))


def _text(value: bytes) -> str:
    return value.decode()
