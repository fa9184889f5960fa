"""Schedules: run a job type by a cron line, once a tick, on any number of hosts."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable
from jobs.engine.broker.store.schedule_records import DueSchedule
from jobs.engine.broker.store.verdicts import ScheduleVerdict, SubmitVerdict
from jobs.engine.errors import (
    BrokerUnavailable,
    ScheduleNotFound,
    Unauthenticated,
    WorkhorseError,
)
from jobs.engine.times import read_time

from . import cron
from .refusals import raise_unless_scheduled, raise_unless_stored
from .submission import Submission, described, shared_fields

if TYPE_CHECKING:
    from .client import Client

logger = logging.getLogger("workhorse")

MAX_PER_USER = 100
#: Due schedules that are read at once; the next call reads the others.
AT_ONCE = 100
RETRY_UNREADABLE_SECONDS = 3_600
UNREADABLE = "The schedule's record can't be read; delete the schedule and create a new one."


@dataclass(frozen=True)
class Plan:
    """A job type with its parameters, and a valid cron line in an IANA time zone."""

    job_type: str
    params: dict[str, Any]
    cron: str
    timezone: str = "UTC"

    def next_tick(self, after: datetime) -> datetime:
        return cron.next_tick(self.cron, self.timezone, after)


@dataclass(frozen=True)
class Schedule:
    schedule_id: str
    user_id: str
    plan: Plan
    created_at: datetime
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_job_id: str | None
    #: Why the last tick was skipped; None if it was not.
    problem: str | None


class Schedules:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._records = client.store.schedules

    def create(self, user_id: str, plan: Plan, *, admin: bool = False) -> Schedule:
        """Store a schedule, whose first tick is after now.

        Raises:
            InvalidRequest: the cron line, the time zone or the parameters are not valid.
            JobTypeNotFound: the job type does not exist.
            TooManySchedules: the user has MAX_PER_USER schedules.
            Unauthenticated: the user has been deleted.
        """
        cron.check(plan.cron, plan.timezone)
        self._client.check(self._submission(plan, user_id, admin=admin))
        schedule_id, now = uuid4().hex, datetime.now(UTC)
        record = json.dumps(asdict(plan) | {"created_at": now.isoformat(), "admin": admin})
        first = int(plan.next_tick(now).timestamp())
        with broker_errors():
            verdict = self._records.add(schedule_id, user_id, record, first, MAX_PER_USER)
        raise_unless_scheduled(verdict, MAX_PER_USER)
        return self.find(schedule_id)

    def check_create(self, user_id: str, plan: Plan, *, admin: bool = False) -> None:
        """Raise the error that `create` would raise now."""
        cron.check(plan.cron, plan.timezone)
        self._client.check(self._submission(plan, user_id, admin=admin))
        if len(self.of_user(user_id)) >= MAX_PER_USER:
            raise_unless_scheduled(ScheduleVerdict.TOO_MANY, MAX_PER_USER)

    def find(self, schedule_id: str) -> Schedule:
        """Return a schedule. Raises ScheduleNotFound if it does not exist."""
        with broker_errors():
            fields, tick = self._records.find(schedule_id)
        schedule = _readable(schedule_id, fields, tick)
        if schedule is None:
            raise ScheduleNotFound(f"There is no schedule {schedule_id[:64]!r}.")
        return schedule

    def of_user(self, user_id: str) -> list[Schedule]:
        """Return a user's schedules, oldest first."""
        with broker_errors():
            found = [(each, *self._records.find(each)) for each in self._records.of_user(user_id)]
        schedules = [schedule for each in found if (schedule := _readable(*each)) is not None]
        return sorted(schedules, key=lambda schedule: (schedule.created_at, schedule.schedule_id))

    def delete(self, schedule_id: str) -> None:
        """Remove a schedule. Its jobs are not affected. Raises ScheduleNotFound if it does not exist."""
        with broker_errors():
            if not self._records.remove(schedule_id):
                raise ScheduleNotFound(f"There is no schedule {schedule_id[:64]!r}.")

    def delete_all(self, user_id: str) -> None:
        """Remove the schedules of a user. Remove the user first, so that no schedule can be added."""
        with broker_errors():
            for schedule_id in self._records.of_user(user_id):
                self._records.remove(schedule_id)

    # --- at their time -----------------------------------------------------------------

    def run_due(self) -> int:
        """Submit a job for each schedule that is due. Return how many this process has submitted.

        Any number of hosts can do this at the same time: one atomic step stores the job of a tick and sets the schedule
        to its next tick. If several ticks were missed, they start one job.
        """
        with broker_errors():
            now, due = self._records.due(AT_ONCE)
        moment = datetime.fromtimestamp(now, UTC)
        return sum(self._run(each, moment) for each in due)

    def _run(self, due: DueSchedule, now: datetime) -> bool:
        """Submit the job of one schedule. Whatever is wrong with it is logged, and does not stop the others."""
        schedule_id, tick, user_id = due.schedule_id, due.tick, due.user_id
        try:
            plan, admin = _plan(json.loads(due.record))
            following = int(plan.next_tick(now).timestamp())
        except Exception:
            logger.exception("schedule %s can't be read; it is tried again in an hour", schedule_id)
            self._skip(schedule_id, tick, tick + RETRY_UNREADABLE_SECONDS, UNREADABLE)
            return False
        try:
            submission = self._submission(plan, user_id, admin=admin, job_id=_job_id(schedule_id, tick))
            return self._submit(submission, schedule_id, tick, following)
        except BrokerUnavailable:
            raise
        except Unauthenticated:
            logger.info("schedule %s is removed, because user %s has been deleted", schedule_id, user_id)
            with broker_errors():
                self._records.remove(schedule_id)
        except WorkhorseError as error:
            logger.warning("schedule %s of %s: a tick of %s is skipped: %s", schedule_id, user_id, plan.cron, error)
            self._skip(schedule_id, tick, following, error.message)
        return False

    def _submit(self, submission: Submission, schedule_id: str, tick: int, following: int) -> bool:
        """Store the job of a tick and set the schedule to its next one. Return False if another host has done so."""
        self._client.check(submission)
        settings = self._client.settings
        shared = shared_fields(submission, settings) | {"schedule": schedule_id, "tick": tick, "following": following}
        with broker_errors():
            reply = self._client.store.submit(shared, [described(submission, settings)])
        raise_unless_stored(reply, settings.max_active_jobs_per_user)
        return reply.verdict is SubmitVerdict.STORED

    def _skip(self, schedule_id: str, tick: int, following: int, reason: str) -> None:
        with broker_errors():
            self._records.skip_tick(schedule_id, tick, following, reason)

    def _submission(self, plan: Plan, user_id: str, *, admin: bool, job_id: str | None = None) -> Submission:
        job_type = self._client.catalogue.find(plan.job_type)
        job_type.parameters.validate(plan.params)
        return Submission(job_type, plan.params, user_id, admin=admin, job_id=job_id)


def _job_id(schedule_id: str, tick: int) -> str:
    return sha256(f"{schedule_id} {tick}".encode()).hexdigest()[:32]


def _plan(record: dict[str, Any]) -> tuple[Plan, bool]:
    kinds = {"job_type": str, "params": dict, "cron": str, "timezone": str}
    if wrong := [name for name, kind in kinds.items() if not isinstance(record[name], kind)]:
        raise TypeError(f"{wrong[0]} is {record[wrong[0]]!r:.100}")
    return Plan(**{name: record[name] for name in kinds}), bool(record.get("admin"))


def _readable(schedule_id: str, fields: dict[str, str], tick: float | None) -> Schedule | None:
    return readable(f"wh:schedule:{schedule_id}", lambda: _read(schedule_id, fields, tick)) if fields else None


def _read(schedule_id: str, fields: dict[str, str], tick: float | None) -> Schedule:
    record = json.loads(fields["record"])
    return Schedule(
        schedule_id,
        fields["user"],
        _plan(record)[0],
        read_time(record["created_at"]),
        datetime.fromtimestamp(tick, UTC) if tick is not None else None,
        read_time(fields["last_run_at"]) if "last_run_at" in fields else None,
        fields.get("last_job_id"),
        fields.get("problem"),
    )
