"""Run job types on cron lines: make, list and delete schedules."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.client.cron import MAX_CHARACTERS
from jobs.engine.client.schedules import Plan, Schedule, Schedules
from jobs.engine.times import rfc3339

from . import body
from .auth import caller
from .batches import JobTypeName, valid_types
from .ownership import visible_schedule
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("schedules", __name__, url_prefix="/api/v1/schedules")


class NewSchedule(BaseModel):
    job_type: JobTypeName
    params: dict[str, Any] = Field(default_factory=dict)
    cron: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"


@blueprint.post("")
def create() -> Response:
    new = body.model(NewSchedule)
    query(Nothing)
    valid_types([("", new.job_type, new.params)])
    plan = Plan(new.job_type, new.params, new.cron, new.timezone)
    user = caller()
    admit(partial(_schedules().check_create, user.user_id, plan, admin=user.is_admin))
    schedule = _schedules().create(user.user_id, plan, admin=user.is_admin)
    answer = jsonify(_resource(schedule))
    answer.status_code = 201
    answer.headers["Location"] = f"/api/v1/schedules/{schedule.schedule_id}"
    return answer


@blueprint.get("")
def page() -> Response:
    query(Nothing)
    admit()
    found = _schedules().of_user(caller().user_id)
    return jsonify(schedules=[_resource(each) for each in found], next_cursor=None)


@blueprint.get("/<schedule_id>")
def show(schedule_id: str) -> Response:
    schedule = visible_schedule(schedule_id)
    query(Nothing)
    admit()
    return jsonify(_resource(schedule))


@blueprint.delete("/<schedule_id>")
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
    return {
        "schedule_id": schedule.schedule_id,
        "job_type": schedule.plan.job_type,
        "params": schedule.plan.params,
        "cron": schedule.plan.cron,
        "timezone": schedule.plan.timezone,
        "created_at": rfc3339(schedule.created_at),
        "next_run_at": _time(schedule.next_run_at),
        "last_run_at": _time(schedule.last_run_at),
        "last_job_id": schedule.last_job_id,
        "problem": schedule.problem,
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
