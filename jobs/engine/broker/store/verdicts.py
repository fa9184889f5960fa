"""The scripts' verdicts on a submission, a cancellation, a retry, and a new or changed schedule.

A word that is not listed here raises ValueError where the reply is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .records import Record, as_stored


class SubmitVerdict(StrEnum):
    STORED = "stored"
    #: An earlier request with the same idempotency key has stored it.
    REPLAYED = "replayed"
    #: The owner's job with this unique key has not ended, and has taken the newer parameters if its type says so.
    DEDUPLICATED = "deduplicated"
    #: Another process has taken the outbox entry or the schedule's tick, and has stored its jobs.
    TAKEN = "taken"
    #: An earlier job of the schedule has not ended. The tick is recorded as skipped, or waits for that job.
    OVERLAP = "overlap"
    NO_SCHEDULE = "no_schedule"
    #: The request came too early, or its credential or user is gone.
    NOT_ADMITTED = "not_admitted"
    NO_USER = "no_user"
    KEY_REUSED = "key_reused"
    UNKNOWN_DEPENDENCY = "unknown_dependency"
    FOREIGN_DEPENDENCY = "foreign_dependency"
    #: The time by which a job must have started comes before it may start. The reply has an id if the job is a
    #: waiting one that the submission would change.
    NEVER_STARTS = "never_starts"
    #: Another job has a job's unique key.
    DUPLICATE = "duplicate"
    #: Another job of the same request has it.
    DUPLICATE_IN_REQUEST = "duplicate_in_request"
    #: That job has started, so it can't take the newer parameters.
    DUPLICATE_STARTED = "duplicate_started"
    TOO_MANY_ACTIVE = "too_many_active"


@dataclass(frozen=True)
class SubmitReply:
    verdict: SubmitVerdict
    #: The job or group that is stored, the job that exists, or the dependency that is refused; otherwise empty.
    subject_id: str = ""
    #: NOT_ADMITTED: microseconds too early, or negative; TOO_MANY_ACTIVE: the user's unfinished jobs;
    #: UNKNOWN_DEPENDENCY, NEVER_STARTS, DUPLICATE and DUPLICATE_IN_REQUEST: the position in the request, from 1, of
    #: the job that is refused; otherwise 0.
    number: int = 0
    #: DUPLICATE_IN_REQUEST: the position of the job with the same key; otherwise 0.
    other: int = 0
    #: The job that is stored, or that exists; None for a group.
    record: Record | None = None

    @classmethod
    def read(cls, reply: Sequence[Any], sent: dict[str, Any] | None = None) -> SubmitReply:
        """Read a reply of submit.lua: a word, then an id, numbers and a record, each only if there is one.

        `sent` has the fields of the job that was to be stored: the reply has only those that were added.
        """
        subject_id, numbers, record = "", [], None
        for part in reply[1:]:
            if isinstance(part, bytes):
                subject_id = part.decode()
            elif isinstance(part, int):
                numbers.append(part)
            elif part:
                record = Record.read(part)
        verdict = SubmitVerdict(reply[0].decode())
        if record and verdict is SubmitVerdict.STORED:
            record = record._replace(fields=as_stored(sent or {}) | record.fields)
        number, other = [*numbers, 0, 0][:2]
        return cls(verdict, subject_id, number, other, record)


class CancelVerdict(StrEnum):
    CANCELLED = "cancelled"
    #: It is running, and its worker will stop it.
    STOPPING = "stopping"
    ENDED = "ended"
    MISSING = "missing"


class RetryVerdict(StrEnum):
    #: It is queued, or waits for a job that has not ended.
    PENDING = "pending"
    NOT_ENDED = "not_ended"
    MISSING = "missing"
    #: A job that it depends on has failed or was cancelled.
    DEPENDENCY_FAILED = "dependency_failed"
    #: Another job has its unique key.
    DUPLICATE = "duplicate"
    TOO_MANY_ACTIVE = "too_many_active"


@dataclass(frozen=True)
class RetryReply:
    verdict: RetryVerdict
    #: The job that has failed or was cancelled, or that has the unique key; empty for any other verdict.
    other_id: str = ""
    #: The owner's unfinished jobs; 0 for any verdict but TOO_MANY_ACTIVE.
    active: int = 0

    @classmethod
    def read(cls, reply: Sequence[Any]) -> RetryReply:
        """Read a reply of retry.lua: a word, then an id or a number if there is one."""
        verdict = RetryVerdict(reply[0].decode())
        if verdict in (RetryVerdict.DEPENDENCY_FAILED, RetryVerdict.DUPLICATE):
            return cls(verdict, other_id=reply[1].decode())
        return cls(verdict, active=reply[1] if len(reply) > 1 else 0)


class ScheduleVerdict(StrEnum):
    STORED = "stored"
    NO_USER = "no_user"
    TOO_MANY = "too_many"


class ChangeVerdict(StrEnum):
    CHANGED = "changed"
    #: The schedule has been changed since it was read.
    STALE = "stale"
    MISSING = "missing"
