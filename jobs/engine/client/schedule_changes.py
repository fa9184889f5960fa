"""Change schedules: edit, pause and resume them, and run one now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.verdicts import ChangeVerdict, SubmitVerdict
from jobs.engine.errors import Conflict, InvalidRequest, JobTypeNotFound

from . import cron
from .client import Submitted
from .pauses import Pause, new_pause
from .refusals import raise_unless_stored
from .schedule import NEVER, Overlap, Plan, Record, Schedule
from .scheduled_jobs import scheduled_job
from .schedules import Schedules
from .submission import Submission, described, shared_fields

if TYPE_CHECKING:
    from .client import Client

#: A change is tried again if another one came between reading and writing.
MAX_ATTEMPTS = 10

#: The new record, the new pause, and the new next tick in seconds since 1970; None to keep it.
Change = tuple[Record, Pause | None, int | None]


class ScheduleChanges:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._records = client.store.schedules
        self._schedules = Schedules(client)

    def edit(self, schedule_id: str, changes: dict[str, Any], *, owner_is_admin: bool | None = None) -> Schedule:
        """Change some fields of a schedule's plan. If the cron line or the time zone changes, so does the next tick.

        Args:
            changes: the new values of fields of Plan.
            owner_is_admin: if the owner makes the change, decides what files the jobs may use; None keeps that.

        Raises:
            ScheduleNotFound, InvalidRequest, JobTypeNotFound, Forbidden
            Conflict: others kept changing the schedule.
        """
        return self._change(schedule_id, lambda schedule, now: self._edited(schedule, now, changes, owner_is_admin))

    def check_edit(self, schedule_id: str, changes: dict[str, Any], *, owner_is_admin: bool | None = None) -> None:
        """Raise the error that `edit` would raise now."""
        self._edited(self._schedules.find(schedule_id), self._schedules.now(), changes, owner_is_admin)

    def pause(self, schedule_id: str, by: str | None, reason: str | None, until: datetime | None) -> Schedule:
        """Pause a schedule: it has no tick until it is resumed, or until `until`. A waiting tick is skipped.

        Raises:
            ScheduleNotFound
            InvalidRequest: `until` is not in the future.
            Conflict: others kept changing the schedule.
        """

        def paused(schedule: Schedule, now: datetime) -> Change:
            pause = new_pause(now, by, reason, until)
            if schedule.paused and schedule.paused.means_the_same_as(pause):
                pause = schedule.paused
            return schedule.record, pause, _first_tick(schedule.plan, now, pause)

        return self._change(schedule_id, paused)

    def check_pause(self, until: datetime | None) -> None:
        """Raise the error that `pause` would raise now."""
        new_pause(self._schedules.now(), None, None, until)

    def resume(self, schedule_id: str) -> Schedule:
        """End the pause of a schedule. Its next tick is after now. A schedule that is not paused does not change.

        Raises:
            ScheduleNotFound
            Conflict: others kept changing the schedule.
        """
        if (found := self._schedules.find(schedule_id)).paused is None:
            return found
        return self._change(
            schedule_id, lambda schedule, now: (schedule.record, None, _first_tick(schedule.plan, now, None))
        )

    # --- now -------------------------------------------------------------------------------

    def run_now(self, schedule_id: str) -> Submitted:
        """Submit a job of a schedule for its owner, even if the schedule is paused or an earlier job has not ended.

        Raises:
            ScheduleNotFound
            Conflict: the plan is no longer valid.
            DuplicateJob: another job has its unique key, and can't or must not be returned.
            TooManyActiveJobs: the owner has MAX_ACTIVE_JOBS_PER_USER unfinished jobs.
        """
        schedule, settings = self._schedules.find(schedule_id), self._client.settings
        submission = self._job_of(schedule)
        shared = shared_fields(submission, settings) | {"run": {"id": schedule_id, "manual": True}}
        with broker_errors():
            reply = self._client.store.submit(shared, [described(submission, settings)])
        raise_unless_stored(reply, settings.max_active_jobs_per_user)
        deduplicated = reply.verdict is SubmitVerdict.DEDUPLICATED
        return Submitted(self._client.find(reply.subject_id), deduplicated=deduplicated)

    def check_run(self, schedule_id: str) -> None:
        """Raise the error that `run_now` would raise now, unless it is about a limit."""
        self._job_of(self._schedules.find(schedule_id))

    # --- steps -----------------------------------------------------------------------------

    def _change(self, schedule_id: str, changed: Callable[[Schedule, datetime], Change]) -> Schedule:
        for _ in range(MAX_ATTEMPTS):
            schedule = self._schedules.find(schedule_id)
            record, pause, tick = changed(schedule, self._schedules.now())
            with broker_errors():
                verdict = self._records.change(
                    schedule_id,
                    schedule.revision,
                    record.as_json(),
                    pause=pause.as_json() if pause else "",
                    next_tick=tick,
                    may_wait=pause is None and record.plan.overlap is Overlap.WAIT,
                )
            if verdict is ChangeVerdict.CHANGED:
                return self._schedules.find(schedule_id)
        raise Conflict("Others kept changing this schedule at the same time. Try again.")

    def _edited(
        self, schedule: Schedule, now: datetime, changes: dict[str, Any], owner_is_admin: bool | None
    ) -> Change:
        old, plan = schedule.plan, replace(schedule.plan, **changes)
        admin = schedule.record.admin if owner_is_admin is None else owner_is_admin
        moves = (old.cron, old.timezone) != (plan.cron, plan.timezone)
        if moves:
            cron.check(plan.cron, plan.timezone)
        if not changes.keys().isdisjoint({"job_type", "params"}):
            self._client.check(scheduled_job(self._client, plan, schedule.user_id, admin=admin))
        tick = _first_tick(plan, now, schedule.paused) if moves else None
        return replace(schedule.record, plan=plan, admin=admin), schedule.paused, tick

    def _job_of(self, schedule: Schedule) -> Submission:
        try:
            job = scheduled_job(self._client, schedule.plan, schedule.user_id, admin=schedule.record.admin)
            self._client.check(job)
        except (InvalidRequest, JobTypeNotFound) as error:
            raise Conflict(f"This schedule can't run; edit it first. {error.message}") from error
        return job


def _first_tick(plan: Plan, now: datetime, pause: Pause | None) -> int:
    if pause is None:
        return int(plan.next_tick(now).timestamp())
    if pause.until is None:
        return NEVER
    return int(plan.next_tick(pause.until - timedelta(microseconds=1)).timestamp())
