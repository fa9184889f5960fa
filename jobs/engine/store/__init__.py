"""Every key, record and script that the engine keeps in the broker.

A script is one atomic step of a job's life: submit, claim, report, finish, cancel, retry. Each is a file of Lua
beside this one, put behind `prelude.lua`, which holds what they share. Keys that begin with `rq:` are RQ's
own, in RQ's own formats (2.12.0), so that every RQ tool sees the truth; those that begin with `wh:` are ours.

| key | holds |
|---|---|
| `rq:job:<id>` | the job: RQ's fields, and ours: `user`, `type`, `version`, `attempt`, `execution` (the fence) … |
| `wh:events:<id>` | its history, newest 200 entries |
| `wh:logs:<id>` | what it printed and logged |
| `wh:checkpoint:<id>` | the state it saved |
| `wh:jobs:<user>:<status>` | a user's jobs by status, scored by creation |
| `wh:leases`, `wh:suspects` | who holds what until when · leases seen expired once |
| `wh:expiry` | when an ended job leaves the indexes |
| `wh:idempotency:<user>:<digest>` | the job that an Idempotency-Key started |
| `wh:pushed:<queue>`, `wh:popped:<queue>` | counters behind the queue position |
| `wh:doorbell:<queue>` | rung at each push, so that an idle worker need not ask |

Errors of redis-py pass through: `client` turns them into ours for callers, a worker waits and asks again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import redis

#: Seconds without a heartbeat after which a worker may be taken for dead; and between two of its heartbeats.
LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 1.0
#: Seconds between the two looks that find a lease expired. Longer than a heartbeat takes to get through.
SUSPICION_SECONDS = 2.5
#: Newest lines of a job's log that are kept.
KEEP_LOG_LINES = 2_000
#: Records that one page of a filtered list looks at.
PAGE_LOOK = 1_000

_SCRIPTS = "submit claim heartbeat report finish cancel retry remove promote suspects sweep find page".split()


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds. `execution` is the fence: what it writes is refused once another holds the job."""

    job_id: str
    queue: str
    execution: str
    fields: dict[str, bytes]
    checkpoint: bytes


@dataclass(frozen=True)
class ForeignClaim:
    """A job that was not submitted through Workhorse, moved to RQ's intermediate list."""

    job_id: str
    queue: str


@dataclass(frozen=True)
class Record:
    """A job as the broker has it: RQ's hash, the last entry of RQ's results, its queue's counter, the broker's time."""

    job_id: str
    fields: dict[str, bytes]
    result: dict[str, bytes]
    popped: int
    now: float


class Store:
    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self._scripts = {name: connection.register_script(_source(name)) for name in _SCRIPTS}

    def _run(self, script: str, *arguments: str | bytes | int | float) -> Any:
        return self._scripts[script](args=list(arguments))

    def submit(self, shared: dict[str, Any], jobs: Iterable[tuple[dict[str, Any], bytes]]) -> list[str]:
        arguments: list[str | bytes] = [json.dumps(shared)]
        for description, data in jobs:
            arguments += [json.dumps(description), data]
        return [_text(part) if isinstance(part, bytes) else str(part) for part in self._run("submit", *arguments)]

    def claim(self, worker: str, execution: str, queues: Sequence[str]) -> Claim | ForeignClaim | None:
        answer = self._run("claim", worker, execution, LEASE_SECONDS, *queues)
        if answer[0] == b"empty":
            return None
        queue, job_id = _text(answer[1]), _text(answer[2])
        if answer[0] == b"foreign":
            return ForeignClaim(job_id, queue)
        return Claim(job_id, queue, execution, _mapping(answer[3]), answer[4])

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
        lines: Sequence[str] = (),
    ) -> bool:
        """Write what a running attempt has to say. False: the execution holds the job no more; nothing was written."""
        news = json.dumps(progress) if progress else ""
        return bool(self._run("report", job_id, execution, news, checkpoint or "", KEEP_LOG_LINES, *lines))

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

    def cancel(self, job_id: str) -> str:
        return _text(self._run("cancel", job_id))

    def retry(self, job_id: str) -> list[str]:
        return [_text(part) for part in self._run("retry", job_id)]

    def remove(self, job_id: str, user_id: str) -> None:
        self._run("remove", job_id, user_id)

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

    def find(self, job_ids: Sequence[str]) -> list[Record]:
        """Read these jobs. What is gone is left out."""
        found, now = self._run("find", *job_ids)
        return [
            Record(_text(job_id), _mapping(fields), _mapping(results[0][1]) if results else {}, int(popped), float(now))
            for job_id, fields, results, popped in found
        ]

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

    def wait_for_doorbell(self, queues: Sequence[str], seconds: float) -> None:
        """Sleep until something is pushed to one of the queues, `seconds` at most."""
        self.connection.blpop([f"wh:doorbell:{queue}" for queue in queues], seconds)


def _source(name: str) -> str:
    folder = resources.files(__package__)
    return (folder / "prelude.lua").read_text() + "\n" + (folder / f"{name}.lua").read_text()


def _text(value: bytes) -> str:
    return value.decode()


def _mapping(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {flat[place].decode(): flat[place + 1] for place in range(0, len(flat), 2)}
