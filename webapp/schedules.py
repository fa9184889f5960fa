"""Run job types on cron lines: create, list, show, edit and delete schedules."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify

from jobs.engine.client.schedule import Plan, Schedule
from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules

from . import body
from .auth import caller
from .groups import valid_types
from .openapi.components import page_of
from .openapi.describing import described
from .openapi.operation import LOCATION, empty_response, json_body, returns
from .openapi.schemas import Later
from .ownership import visible_schedule
from .query import Nothing, query
from .rate_limit import admit
from .schedule_resource import PLAN_EXAMPLE, SCHEDULE, ChangedSchedule, NewSchedule, changed_schema, schedule_fields
from .services import services

blueprint = Blueprint("schedules", __name__, url_prefix="/api/v1/schedules")


@blueprint.post("")
@described(
    "create-schedule",
    "Many at once",
    "Run a job type on a cron line",
    {"201": returns("The schedule.", SCHEDULE, headers={"Location": LOCATION})},
    body=json_body(NewSchedule, example=PLAN_EXAMPLE),
    refused=(400, 403, 409, 413, 415),
)
def create() -> Response:
    new = body.model(NewSchedule)
    query(Nothing)
    valid_types([("", new.job_type, new.params)])
    plan = Plan(new.job_type, new.params, new.cron, new.timezone, new.overlap, new.catch_up)
    user = caller()
    admit(partial(_schedules().check_create, user.user_id, plan, admin=user.is_admin))
    schedule = _schedules().create(user.user_id, plan, admin=user.is_admin)
    response = jsonify(schedule_fields(schedule))
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
    return jsonify(schedules=[schedule_fields(each) for each in found], next_cursor=None)


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
    return jsonify(schedule_fields(schedule))


@blueprint.patch("/<schedule_id>")
@described(
    "edit-schedule",
    "Many at once",
    "Change a schedule",
    {"200": returns("The schedule.", SCHEDULE)},
    description="Fields that are not sent keep their values. A new cron line or time zone moves the next tick.",
    body=json_body(Later(changed_schema), example={"cron": "0 4 * * *", "overlap": "skip"}),
    refused=(400, 403, 404, 409, 413, 415),
)
def edit(schedule_id: str) -> Response:
    schedule = visible_schedule(schedule_id)
    changes = body.model(ChangedSchedule).changes
    query(Nothing)
    return jsonify(schedule_fields(edited(schedule, changes)))


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


def edited(schedule: Schedule, changes: dict[str, Any]) -> Schedule:
    """Change a schedule for the caller, and return it.

    Raises:
        InvalidRequest, Conflict, RateLimited
    """
    plan, user = replace(schedule.plan, **changes), caller()
    if not changes.keys().isdisjoint({"job_type", "params"}):
        valid_types([("", plan.job_type, plan.params)])
    owner_is_admin = user.is_admin if user.user_id == schedule.user_id else None
    change = ScheduleChanges(services().client)
    admit(partial(change.check_edit, schedule.schedule_id, changes, owner_is_admin=owner_is_admin))
    return change.edit(schedule.schedule_id, changes, owner_is_admin=owner_is_admin)


def _schedules() -> Schedules:
    return Schedules(services().client)
