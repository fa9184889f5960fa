"""Check the invariants of the broker: walk through every key, report each kind of damage, and repair it.

The walk uses SCAN, so it is for operators and tests, and never on a request's path. An entry that looks damaged is
examined again by one atomic script, which also repairs it, so a repair can't race a live worker.

A job of plain RQ is only checked for this: a worker can find it. The rest of its records are RQ's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, cast

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.leases import LEASE_SECONDS
from jobs.engine.broker.store.sources import source
from jobs.engine.broker.store.store import Store

from .findings import Damage, Finding, Subject, as_bytes, as_text

#: Scripts sent in one round trip, and entries read in one.
BATCH = 500
#: A plain RQ worker first pops a job and then records it (rq/queue.py 2.12.0, dequeue_any), so the doctor looks again
#: after this pause.
SECOND_LOOK_SECONDS = 0.5


class Doctor:
    def __init__(self, store: Store) -> None:
        self._connection = store.connection
        self._job = store.connection.register_script(source("doctor_job"))
        self._entry = store.connection.register_script(source("doctor_entry"))

    def examine(self) -> list[Finding]:
        """Examine every job and every entry. Return what is damaged: nothing on a healthy system, however busy."""
        suspected = [finding.subject for finding in self._judge(self._subjects())]
        if any(subject.place == "job" for subject in suspected):
            time.sleep(SECOND_LOOK_SECONDS)
        return list(self._judge(suspected))

    def repair(self, findings: Iterable[Finding]) -> list[Finding]:
        """Repair what is still damaged of these findings, and return it."""
        return list(self._judge(dict.fromkeys(finding.subject for finding in findings), repair=True))

    # --- the walk ----------------------------------------------------------------------

    def _subjects(self) -> Iterator[Subject]:
        self._listed = self._queued()
        for key in cast(Iterable[bytes], self._connection.scan_iter(count=BATCH)):
            yield from self._subjects_of(as_text(key))
        for queue, ids in self._listed.items():
            yield from (Subject("queue", queue, job_id) for job_id in ids)

    def _subjects_of(self, key: str) -> Iterator[Subject]:
        family, _, rest = key.partition(":")
        kind, _, name = rest.partition(":")
        match family, kind:
            case "rq", "job":
                dependents = name.endswith(":dependents")
                yield Subject("owned", key) if dependents else Subject("job", name)
            case ("wh", "events" | "logs" | "checkpoint") | ("rq", "results"):
                yield Subject("owned", key)
            case ("wh", "leases") | ("rq", "wip"):
                yield from self._entries("hold", key)
            case "wh", "suspects":
                suspects = cast(list[bytes], self._connection.hkeys(as_bytes(key)))
                yield from (Subject("hold", key, as_text(member)) for member in suspects)
            case "wh", "jobs":
                yield from self._entries("index", key)
            case "wh", "limited":
                yield from self._entries("limited", key)
            case "wh", "slots" | "called":
                members = cast(Iterable[bytes], self._connection.sscan_iter(as_bytes(key), count=BATCH))
                place = "slot" if kind == "slots" else kind
                yield from (Subject(place, key, as_text(member)) for member in members)
            case "wh", "unique":
                yield Subject("unique", key)
            case "wh", "start_by":
                yield from self._entries("deadline", key)
            case "wh", "expiry":
                yield from self._entries("expiry", key)
            case "rq", "scheduled" | "deferred" | "finished" | "failed" | "canceled":
                yield from self._entries("registry", key)
            case "rq", "executions":
                yield from self._entries("executions", key)
            case "rq", "execution":
                yield Subject("execution", key)
            case "rq", "worker":
                yield Subject("worker", key)

    def _entries(self, place: str, key: str) -> Iterator[Subject]:
        # Only sorted sets have entries: the lock of plain RQ's scheduler has a name like a registry's.
        if self._connection.type(as_bytes(key)) == b"zset":
            for member, _score in self._connection.zscan_iter(as_bytes(key), count=BATCH):
                yield Subject(place, key, as_text(member))

    def _queued(self) -> dict[str, Counter[str]]:
        """Return how many times each queue holds each id."""
        listed: dict[str, Counter[str]] = {}
        for key in cast(set[bytes], self._connection.smembers("rq:queues")):
            counter = listed.setdefault(as_text(key), Counter())
            start = 0
            while ids := cast(list[bytes], self._connection.lrange(key, start, start + 10 * BATCH - 1)):
                counter.update(as_text(each) for each in ids)
                start += len(ids)
        return listed

    # --- the judgement -------------------------------------------------------------------

    def _judge(self, subjects: Iterable[Subject], *, repair: bool = False) -> Iterator[Finding]:
        """Run the scripts on each subject."""
        remaining = iter(subjects)
        while batch := list(islice(remaining, BATCH)):
            scores = self._scores(batch) if repair else {}
            pipeline = self._connection.pipeline(transaction=False)
            for subject in batch:
                self._add_script(pipeline, subject, repair, scores)
            for subject, reply in zip(batch, pipeline.execute(raise_on_error=False), strict=True):
                yield from _findings(subject, reply)

    def _add_script(self, pipeline: Any, subject: Subject, repair: bool, scores: dict[Subject, str]) -> None:
        flag = "1" if repair else ""
        if subject.place != "job":
            self._entry(args=[subject.place, as_bytes(subject.key), as_bytes(subject.member), flag], client=pipeline)
            return
        # LPOS reads a list from its head, so it is only used for jobs that the walk did not see exactly once.
        seen = [ids[subject.key] for ids in self._listed.values() if subject.key in ids]
        listed = "1" if seen == [1] and not repair else ""
        lease, score = str(LEASE_SECONDS), scores.get(subject, "0")
        self._job(args=[as_bytes(subject.key), flag, listed, lease, score], client=pipeline)

    def _scores(self, subjects: Sequence[Subject]) -> dict[Subject, str]:
        """Return the scores of jobs in their owners' indexes: the time of creation in microseconds."""
        jobs = [subject for subject in subjects if subject.place == "job"]
        pipeline = self._connection.pipeline(transaction=False)
        for subject in jobs:
            pipeline.hget(as_bytes(f"rq:job:{subject.key}"), "created_at")
        replies = pipeline.execute(raise_on_error=False)
        return {subject: _microseconds(created) for subject, created in zip(jobs, replies, strict=True)}


def _microseconds(created: Any) -> str:
    try:
        moment = datetime.fromisoformat(created.decode()).timestamp()
    except (AttributeError, ValueError):  # the field is missing or malformed
        moment = time.time()
    return f"{moment * 1e6:.0f}"


def _findings(subject: Subject, reply: Sequence[bytes] | Exception) -> Iterator[Finding]:
    if isinstance(reply, NOT_NOW):
        raise reply
    if isinstance(reply, Exception):
        subject_name = f"the entry {subject.member!a}" if subject.member else "the key"
        yield Finding(Damage.UNREADABLE, subject, f"delete {subject_name} if no program uses it: {reply}")
        return
    for place in range(0, len(reply), 2):
        yield Finding(Damage(reply[place].decode()), subject, reply[place + 1].decode(errors="replace"))
