"""A schedule as clients send it, and as the API returns it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from jobs.engine.client.catch_up import LATE, MAX_CAUGHT_UP
from jobs.engine.client.cron import MAX_CHARACTERS
from jobs.engine.client.pauses import Pause
from jobs.engine.client.schedule import CatchUp, Outcome, Overlap, Run, Schedule
from jobs.engine.public_fields import public_fields

from .groups import JobTypeName, Params
from .openapi.components import component, resource
from .openapi.models import body_schema
from .openapi.schemas import Schema, returned

_CRON = "Minute, hour, day of month, month and day of week; or @hourly, @daily, @weekly, @monthly or @yearly."
_TIMEZONE = "An IANA name, for example Europe/Berlin."
_OVERLAP = (
    "What a tick does while an earlier job of the schedule has not ended. `allow`: it starts its job. `skip`: it "
    "starts no job. `wait`: it starts its job when the earlier one has ended. Further ticks are skipped."
)
_CATCH_UP = (
    f"Which of the ticks start a job that were missed because no scheduler was running. `none`: none of those that are "
    f"over {LATE.seconds} seconds late. `one`: the last one, for all of them. `all`: each, up to the last "
    f"{MAX_CAUGHT_UP}. Ticks during a pause are never caught up."
)
_OUTCOME = (
    "`started`: it started the job. `manual`: a call did. `waiting`: it starts its job when an earlier one has ended. "
    "`skipped`: an earlier job of the schedule had not ended, or a job with the same unique key, which is `job_id`. "
    "`missed`: no scheduler was running. `refused`: the job could not be submitted; the schedule's `problem` says why."
)

Cron = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description=_CRON)]
TimeZone = Annotated[str, Field(min_length=1, max_length=64, description=_TIMEZONE)]


class NewSchedule(BaseModel):
    job_type: JobTypeName
    params: Params = Field(default_factory=dict)
    cron: Cron
    timezone: TimeZone = "UTC"
    overlap: Annotated[Overlap, Field(description=_OVERLAP)] = Overlap.ALLOW
    catch_up: Annotated[CatchUp, Field(description=_CATCH_UP)] = CatchUp.ONE


class ChangedSchedule(NewSchedule):
    """The fields to change. A field that was not sent has a default, which means nothing."""

    job_type: JobTypeName = ""
    cron: Cron = ""

    @property
    def changes(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


@dataclass(frozen=True, kw_only=True)
class ScheduleResource:
    """A job type that runs on a cron line. When clocks are set back, a line with fixed hours runs once."""

    schedule_id: str
    user_id: str
    job_type: str
    params: Annotated[dict[str, Any], Field(description="The parameters of the jobs.")]
    cron: Annotated[str, Field(description=_CRON)]
    timezone: Annotated[str, Field(description=_TIMEZONE)]
    overlap: Annotated[Overlap, Field(description=_OVERLAP)]
    catch_up: Annotated[CatchUp, Field(description=_CATCH_UP)]
    created_at: datetime
    next_run_at: Annotated[datetime | None, Field(description="Null while it is paused without an end.")]
    last_run_at: datetime | None
    last_job_id: str | None
    problem: Annotated[str | None, Field(description="Why the last tick was refused.")]
    paused: Annotated[Pause | None, Field(description="Null if it is not paused.")]

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleResource:
        plan = schedule.plan
        return cls(
            schedule_id=schedule.schedule_id,
            user_id=schedule.user_id,
            job_type=plan.job_type,
            params=plan.params,
            cron=plan.cron,
            timezone=plan.timezone,
            overlap=plan.overlap,
            catch_up=plan.catch_up,
            created_at=schedule.created_at,
            next_run_at=schedule.next_run_at,
            last_run_at=schedule.last_run_at,
            last_job_id=schedule.last_job_id,
            problem=schedule.problem,
            paused=schedule.paused,
        )


@dataclass(frozen=True)
class ScheduleRun:
    """A tick of a schedule, or a call that ran it."""

    due_at: datetime
    outcome: Annotated[Outcome, Field(description=_OUTCOME)]
    job_id: Annotated[str | None, Field(description="The job that was started, or that has the same unique key.")]


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the API shows it."""
    return public_fields(ScheduleResource.of(schedule)) | {
        "paused": schedule.paused.as_dict() if schedule.paused else None
    }


def run_fields(run: Run) -> dict[str, Any]:
    """Return a tick as the API shows it."""
    return public_fields(ScheduleRun(run.due_at, run.outcome, run.job_id))


def changed_schema() -> Schema:
    """Describe the body of a change: every field is optional, and one that is not sent keeps its value."""
    schema = body_schema(ChangedSchedule)
    fields = schema["properties"]
    without_defaults = {
        name: {key: value for key, value in field.items() if key != "default"} for name, field in fields.items()
    }
    return schema | {"properties": without_defaults}


PLAN_EXAMPLE = {"job_type": "clean-up", "params": {}, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
SCHEDULE = resource(
    ScheduleResource,
    name="Schedule",
    example={
        "schedule_id": "d4c3b2a1f0e9d8c7b6a5f4e3d2c1b0a9",
        "user_id": "alice",
        **PLAN_EXAMPLE,
        "overlap": "allow",
        "catch_up": "one",
        "created_at": "2030-01-31T12:00:00.000000Z",
        "next_run_at": "2030-02-01T01:30:00.000000Z",
        "last_run_at": None,
        "last_job_id": None,
        "problem": None,
        "paused": None,
    },
)
RUN_EXAMPLE = {
    "due_at": "2030-02-01T01:30:00.000000Z",
    "outcome": "started",
    "job_id": "6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80",
}
RUNS = component("ScheduleRuns", returned({"runs": {"type": "array", "items": resource(ScheduleRun)}}))
