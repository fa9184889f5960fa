"""Run job types on cron lines: create, list, show and delete schedules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.client.cron import MAX_CHARACTERS
from jobs.engine.client.schedule import Plan, Schedule
from jobs.engine.client.schedules import Schedules
from jobs.engine.public_fields import public_fields

from . import body
from .auth import caller
from .groups import JobTypeName, Params, valid_types
from .openapi.components import page_of, resource
from .openapi.describing import described
from .openapi.models import body_schema
from .openapi.operation import LOCATION, empty_response, json_body, returns
from .ownership import visible_schedule
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("schedules", __name__, url_prefix="/api/v1/schedules")

_CRON = "Minute, hour, day of month, month and day of week; or @hourly, @daily, @weekly, @monthly or @yearly."
_TIMEZONE = "An IANA name, for example Europe/Berlin."


class NewSchedule(BaseModel):
    job_type: JobTypeName
    params: Params = Field(default_factory=dict)
    cron: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description=_CRON)]
    timezone: Annotated[str, Field(min_length=1, max_length=64, description=_TIMEZONE)] = "UTC"


@dataclass(frozen=True, kw_only=True)
class ScheduleResource:
    """A job type that runs on a cron line: one job for each tick, and one job for all ticks that were missed.

    When clocks are set back, a line with fixed hours runs once.
    """

    schedule_id: str
    job_type: str
    params: Annotated[dict[str, Any], Field(description="The parameters of the jobs.")]
    cron: Annotated[str, Field(description=_CRON)]
    timezone: Annotated[str, Field(description=_TIMEZONE)]
    created_at: datetime
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_job_id: str | None
    problem: Annotated[str | None, Field(description="Why the last tick was skipped.")]

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleResource:
        return cls(
            schedule_id=schedule.schedule_id,
            job_type=schedule.plan.job_type,
            params=schedule.plan.params,
            cron=schedule.plan.cron,
            timezone=schedule.plan.timezone,
            created_at=schedule.created_at,
            next_run_at=schedule.next_run_at,
            last_run_at=schedule.last_run_at,
            last_job_id=schedule.last_job_id,
            problem=schedule.problem,
        )


_PLAN_EXAMPLE = {"job_type": "clean-up", "params": {}, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
SCHEDULE = resource(
    ScheduleResource,
    name="Schedule",
    example={
        "schedule_id": "d4c3b2a1f0e9d8c7b6a5f4e3d2c1b0a9",
        **_PLAN_EXAMPLE,
        "created_at": "2030-01-31T12:00:00.000000Z",
        "next_run_at": "2030-02-01T01:30:00.000000Z",
        "last_run_at": None,
        "last_job_id": None,
        "problem": None,
    },
)


@blueprint.post("")
@described(
    "create-schedule",
    "Many at once",
    "Run a job type on a cron line",
    {"201": returns("The schedule.", SCHEDULE, headers={"Location": LOCATION})},
    body=json_body(body_schema(NewSchedule), example=_PLAN_EXAMPLE),
    refused=(400, 403, 409, 413, 415),
)
def create() -> Response:
    new = body.model(NewSchedule)
    query(Nothing)
    valid_types([("", new.job_type, new.params)])
    plan = Plan(new.job_type, new.params, new.cron, new.timezone)
    user = caller()
    admit(partial(_schedules().check_create, user.user_id, plan, admin=user.is_admin))
    schedule = _schedules().create(user.user_id, plan, admin=user.is_admin)
    response = jsonify(_resource(schedule))
    response.status_code = 201
    response.headers["Location"] = f"/api/v1/schedules/{schedule.schedule_id}"
    return response


@blueprint.get("")
@described(
    "list-schedules",
    "Many at once",
    "List my schedules",
    {"200": returns("All schedules, oldest first.", page_of("SchedulePage", "schedules", SCHEDULE))},
)
def page() -> Response:
    query(Nothing)
    admit()
    found = _schedules().of_user(caller().user_id)
    return jsonify(schedules=[_resource(each) for each in found], next_cursor=None)


@blueprint.get("/<schedule_id>")
@described(
    "show-schedule",
    "Many at once",
    "Show a schedule",
    {"200": returns("The schedule.", SCHEDULE)},
    refused=(403, 404),
)
def show(schedule_id: str) -> Response:
    schedule = visible_schedule(schedule_id)
    query(Nothing)
    admit()
    return jsonify(_resource(schedule))


@blueprint.delete("/<schedule_id>")
@described(
    "delete-schedule",
    "Many at once",
    "Delete a schedule",
    {"204": empty_response("The schedule is deleted. Jobs that it has started continue.")},
    refused=(400, 403, 404, 413, 415),
)
def delete(schedule_id: str) -> tuple[str, int]:
    visible_schedule(schedule_id)
    body.no_body()
    query(Nothing)
    admit()
    _schedules().delete(schedule_id)
    return "", 204


def _schedules() -> Schedules:
    return Schedules(services().client)


def _resource(schedule: Schedule) -> dict[str, Any]:
    return public_fields(ScheduleResource.of(schedule))
