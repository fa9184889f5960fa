"""A schedule: what it runs, when, and what became of its last ticks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from jobs.engine.times import read_time

from . import cron
from .pauses import Pause

#: The next tick of a schedule that is paused without an end, in seconds since 1970: the last second of the year 9999.
NEVER = 253_402_300_799


class Overlap(StrEnum):
    """What a tick does if an earlier job of the schedule has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    #: It starts its job when the earlier one has ended. One tick can wait; later ones are skipped.
    WAIT = "wait"


class CatchUp(StrEnum):
    """Which of the ticks that were missed start a job."""

    NONE = "none"
    #: One job for all of them.
    ONE = "one"
    #: One job for each.
    ALL = "all"


class Outcome(StrEnum):
    """What became of a tick."""

    STARTED = "started"
    #: A call started the job, not a tick.
    MANUAL = "manual"
    #: It starts its job when an earlier one has ended.
    WAITING = "waiting"
    #: An earlier job, or an equal one, had not ended.
    SKIPPED = "skipped"
    #: No scheduler was running.
    MISSED = "missed"
    #: The job could not be submitted.
    REFUSED = "refused"


@dataclass(frozen=True)
class Plan:
    """A job type with its parameters, and a valid cron line in an IANA time zone."""

    job_type: str
    params: dict[str, Any]
    cron: str
    timezone: str = "UTC"
    overlap: Overlap = Overlap.ALLOW
    catch_up: CatchUp = CatchUp.ONE

    def next_tick(self, after: datetime) -> datetime:
        return cron.next_tick(self.cron, self.timezone, after)


@dataclass(frozen=True)
class Record:
    """The part of a schedule that only its users change."""

    plan: Plan
    created_at: datetime
    #: Its jobs may use other users' files.
    admin: bool

    @classmethod
    def read(cls, document: str) -> Record:
        """Read a record from JSON. Raises what `malformed.readable` catches."""
        fields = json.loads(document)
        kinds = {"job_type": str, "params": dict, "cron": str, "timezone": str}
        if wrong := [name for name, kind in kinds.items() if not isinstance(fields[name], kind)]:
            raise TypeError(f"{wrong[0]} is {fields[wrong[0]]!r:.100}")
        # Earlier versions did not have the last two.
        overlap, catch_up = fields.get("overlap", Overlap.ALLOW), fields.get("catch_up", CatchUp.ONE)
        plan = Plan(**{name: fields[name] for name in kinds}, overlap=Overlap(overlap), catch_up=CatchUp(catch_up))
        return cls(plan, read_time(fields["created_at"]), bool(fields.get("admin")))

    def as_json(self) -> str:
        return json.dumps(asdict(self.plan) | {"created_at": self.created_at.isoformat(), "admin": self.admin})


@dataclass(frozen=True)
class Schedule:
    schedule_id: str
    user_id: str
    record: Record
    #: Counts the changes of the record and the pause.
    revision: str
    #: None while it is paused without an end.
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_job_id: str | None
    #: Why the last tick was refused; None if it was not.
    problem: str | None
    paused: Pause | None

    @property
    def plan(self) -> Plan:
        return self.record.plan

    @property
    def created_at(self) -> datetime:
        return self.record.created_at

    @classmethod
    def read(cls, schedule_id: str, fields: dict[str, str], tick: float | None) -> Schedule:
        """Read the fields in the broker. Raises what `malformed.readable` catches."""
        pause = Pause.read(fields["paused"]) if "paused" in fields else None
        return cls(
            schedule_id,
            fields["user"],
            Record.read(fields["record"]),
            fields.get("revision", "0"),
            datetime.fromtimestamp(tick, UTC) if tick is not None and tick < NEVER else None,
            read_time(fields["last_run_at"]) if "last_run_at" in fields else None,
            fields.get("last_job_id"),
            fields.get("problem"),
            pause if pause and not pause.is_over(datetime.now(UTC)) else None,
        )


@dataclass(frozen=True)
class Run:
    """A tick, or a call that started a job."""

    due_at: datetime
    outcome: Outcome
    job_id: str | None

    @classmethod
    def read(cls, entry: str) -> Run:
        """Read an entry in the broker. Raises what `malformed.readable` catches."""
        due, outcome, job_id = entry.split(" ")
        return cls(datetime.fromtimestamp(float(due), UTC), Outcome(outcome), job_id or None)


def ticks_between(plan: Plan, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the ticks after `begin` and not after `end`."""
    while (begin := plan.next_tick(begin)) <= end:
        yield begin
