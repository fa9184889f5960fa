"""The invariant checker: walk everything in the broker, report each kind of damage, and mend it.

It reads with SCAN, so it is for operators and tests and never on a request's path. What looks wrong during the walk
is judged again in one atomic script, in which it is also mended: no live worker is raced.

It does NOT judge jobs of plain RQ further than that a worker can find them: the rest is RQ's own business.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, cast

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.leases import LEASE_SECONDS
from jobs.engine.broker.store.sources import source
from jobs.engine.broker.store.store import Store

#: Scripts sent in one round trip, and entries read in one.
BATCH = 500
#: A plain RQ worker pops first and records afterwards (rq/queue.py 2.12.0, dequeue_any): look twice, this far apart.
FOREIGN_PATIENCE_SECONDS = 0.5


class Damage(StrEnum):
    IN_NO_LIST = "in_no_list"
    IN_TWO_LISTS = "in_two_lists"
    HELD_BY_NOBODY = "held_by_nobody"
    HELD_WITHOUT_JOB = "held_without_job"
    HELD_AFTER_ITS_END = "held_after_its_end"
    EXECUTION_WITHOUT_JOB = "execution_without_job"
    ENTRY_WITHOUT_JOB = "entry_without_job"
    KEY_WITHOUT_JOB = "key_without_job"
    SLOT_WITHOUT_JOB = "slot_without_job"
    DEFERRED_FOR_NOTHING = "deferred_for_nothing"
    NOT_INDEXED = "not_indexed"
    WRONG_INDEX = "wrong_index"
    NEVER_EXPIRES = "never_expires"
    EXPIRES_ALIVE = "expires_alive"
    #: Nobody here has written it, so nobody knows how to mend it.
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Subject:
    """What is examined by one call of a script: a job, or one entry of a key."""

    #: `job`, or what kind of entry it is (doctor_entry.lua).
    place: str
    #: The job's id, or the key.
    key: str
    #: The entry; empty for the key itself.
    member: str = ""


@dataclass(frozen=True)
class Finding:
    damage: Damage
    subject: Subject
    detail: str

    def __str__(self) -> str:
        what = f"job {self.subject.key}" if self.subject.place == "job" else self.subject.key
        return f"{self.damage}: {_bytes(what).decode('utf-8', 'backslashreplace')}: {self.detail}"


class Doctor:
    def __init__(self, store: Store) -> None:
        self._connection = store.connection
        self._job = store.connection.register_script(source("doctor_job"))
        self._entry = store.connection.register_script(source("doctor_entry"))

    def examine(self) -> list[Finding]:
        """Walk every job and every entry. Answers what is wrong; on a healthy system nothing, however busy it is."""
        suspected = [finding.subject for finding in self._judge(self._subjects())]
        if any(subject.place == "job" for subject in suspected):
            time.sleep(FOREIGN_PATIENCE_SECONDS)
        return list(self._judge(suspected))

    def repair(self, findings: Iterable[Finding]) -> list[Finding]:
        """Mend what is still wrong of these, and answer it."""
        return list(self._judge(dict.fromkeys(finding.subject for finding in findings), mend=True))

    # --- the walk ----------------------------------------------------------------------

    def _subjects(self) -> Iterator[Subject]:
        self._listed = self._queued()
        for key in cast(Iterable[bytes], self._connection.scan_iter(count=BATCH)):
            yield from self._subjects_of(_text(key))
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
                suspects = cast(list[bytes], self._connection.hkeys(_bytes(key)))
                yield from (Subject("hold", key, _text(member)) for member in suspects)
            case "wh", "jobs":
                yield from self._entries("index", key)
            case "wh", "limited":
                yield from self._entries("limited", key)
            case "wh", "slots":
                members = cast(Iterable[bytes], self._connection.sscan_iter(_bytes(key), count=BATCH))
                yield from (Subject("slot", key, _text(member)) for member in members)
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
        # Not `rq:scheduled` alone, as the scheduler's lock of plain RQ: only sorted sets have entries.
        if self._connection.type(_bytes(key)) == b"zset":
            for member, _score in self._connection.zscan_iter(_bytes(key), count=BATCH):
                yield Subject(place, key, _text(member))

    def _queued(self) -> dict[str, Counter[str]]:
        """How many times each queue holds each id."""
        listed: dict[str, Counter[str]] = {}
        for key in cast(set[bytes], self._connection.smembers("rq:queues")):
            counter = listed.setdefault(_text(key), Counter())
            start = 0
            while ids := cast(list[bytes], self._connection.lrange(key, start, start + 10 * BATCH - 1)):
                counter.update(_text(each) for each in ids)
                start += len(ids)
        return listed

    # --- the judgement -------------------------------------------------------------------

    def _judge(self, subjects: Iterable[Subject], *, mend: bool = False) -> Iterator[Finding]:
        """Ask the scripts about each subject. One that looks wrong is asked about again, without a hint."""
        remaining = iter(subjects)
        while batch := list(islice(remaining, BATCH)):
            scores = self._scores(batch) if mend else {}
            pipeline = self._connection.pipeline(transaction=False)
            for subject in batch:
                self._ask(pipeline, subject, mend, scores)
            for subject, answer in zip(batch, pipeline.execute(raise_on_error=False), strict=True):
                yield from _findings(subject, answer)

    def _ask(self, pipeline: Any, subject: Subject, mend: bool, scores: dict[Subject, str]) -> None:
        flag = "1" if mend else ""
        if subject.place != "job":
            self._entry(args=[subject.place, _bytes(subject.key), _bytes(subject.member), flag], client=pipeline)
            return
        # LPOS reads a list from its head: it is asked only about jobs that the walk did not see there exactly once.
        seen = [ids[subject.key] for ids in self._listed.values() if subject.key in ids]
        listed = "1" if seen == [1] and not mend else ""
        arguments: list[str | bytes] = [_bytes(subject.key), flag, listed, str(LEASE_SECONDS), scores.get(subject, "0")]
        self._job(args=arguments, client=pipeline)

    def _scores(self, subjects: Sequence[Subject]) -> dict[Subject, str]:
        """What an owner's index orders by: the time of creation in microseconds."""
        jobs = [subject for subject in subjects if subject.place == "job"]
        pipeline = self._connection.pipeline(transaction=False)
        for subject in jobs:
            pipeline.hget(_bytes(f"rq:job:{subject.key}"), "created_at")
        told = pipeline.execute(raise_on_error=False)
        return {subject: _microseconds(created) for subject, created in zip(jobs, told, strict=True)}


def _microseconds(created: Any) -> str:
    try:
        moment = datetime.fromisoformat(created.decode()).timestamp()
    except (AttributeError, ValueError):  # it is not there, or is no time
        moment = time.time()
    return f"{moment * 1e6:.0f}"


def _findings(subject: Subject, answer: Sequence[bytes] | Exception) -> Iterator[Finding]:
    if isinstance(answer, NOT_NOW):
        raise answer
    if isinstance(answer, Exception):
        what = f"the entry {subject.member!a}" if subject.member else "it"
        yield Finding(Damage.UNREADABLE, subject, f"delete {what}, if it is nobody's: {answer}")
        return
    for place in range(0, len(answer), 2):
        yield Finding(Damage(answer[place].decode()), subject, answer[place + 1].decode(errors="replace"))


def _text(name: bytes) -> str:
    """The name of a key or an entry: it may be anything, and leads back to the same bytes."""
    return name.decode("utf-8", "surrogateescape")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
