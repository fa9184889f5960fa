"""Create, find, list and delete schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, readable_all
from jobs.engine.broker.store.verdicts import ScheduleVerdict
from jobs.engine.errors import ScheduleNotFound

from . import cron
from .refusals import raise_unless_scheduled
from .schedule import Plan, Record, Run, Schedule
from .scheduled_jobs import scheduled_job

if TYPE_CHECKING:
    from .client import Client

MAX_PER_USER = 100


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
        self._check(user_id, plan, admin=admin)
        schedule_id, now = uuid4().hex, self.now()
        record, first = Record(plan, now, admin).as_json(), int(plan.next_tick(now).timestamp())
        with broker_errors():
            verdict = self._records.add(schedule_id, user_id, record, first, MAX_PER_USER)
        raise_unless_scheduled(verdict, MAX_PER_USER)
        return self.find(schedule_id)

    def check_create(self, user_id: str, plan: Plan, *, admin: bool = False) -> None:
        """Raise the error that `create` would raise now."""
        self._check(user_id, plan, admin=admin)
        if len(self.of_user(user_id)) >= MAX_PER_USER:
            raise_unless_scheduled(ScheduleVerdict.TOO_MANY, MAX_PER_USER)

    def find(self, schedule_id: str) -> Schedule:
        """Return a schedule. Raises ScheduleNotFound if it does not exist."""
        with broker_errors():
            fields, tick = self._records.find(schedule_id)
        schedule = _readable(schedule_id, fields, tick)
        if schedule is None:
            _raise_not_found(schedule_id)
        return schedule

    def of_user(self, user_id: str) -> list[Schedule]:
        """Return a user's schedules, oldest first."""
        with broker_errors():
            found = [(each, *self._records.find(each)) for each in self._records.of_user(user_id)]
        schedules = [schedule for each in found if (schedule := _readable(*each)) is not None]
        return sorted(schedules, key=lambda schedule: (schedule.created_at, schedule.schedule_id))

    def runs(self, schedule_id: str) -> list[Run]:
        """Return the last 20 ticks of a schedule, newest first."""
        with broker_errors():
            entries = self._records.runs(schedule_id)
        found = readable_all(f"wh:schedule:{schedule_id}:runs", Run.read, entries)
        return sorted(found, key=lambda run: run.due_at, reverse=True)

    def delete(self, schedule_id: str) -> None:
        """Remove a schedule. Its jobs are not affected. Raises ScheduleNotFound if it does not exist."""
        with broker_errors():
            if not self._records.remove(schedule_id):
                _raise_not_found(schedule_id)

    def delete_all(self, user_id: str) -> None:
        """Remove the schedules of a user. Remove the user first, so that no schedule can be added."""
        with broker_errors():
            for schedule_id in self._records.of_user(user_id):
                self._records.remove(schedule_id)

    def now(self) -> datetime:
        """Return the broker's time: another clock could repeat a tick."""
        with broker_errors():
            return datetime.fromtimestamp(self._records.now(), UTC)

    def _check(self, user_id: str, plan: Plan, *, admin: bool) -> None:
        cron.check(plan.cron, plan.timezone)
        self._client.check(scheduled_job(self._client, plan, user_id, admin=admin))


def _raise_not_found(schedule_id: str) -> NoReturn:
    raise ScheduleNotFound(f"There is no schedule {schedule_id[:64]!r}.")


def _readable(schedule_id: str, fields: dict[str, str], tick: float | None) -> Schedule | None:
    return readable(f"wh:schedule:{schedule_id}", lambda: Schedule.read(schedule_id, fields, tick)) if fields else None
