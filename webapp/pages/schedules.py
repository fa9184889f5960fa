"""Schedules: the caller's list, and a page for each with its last ticks and the forms that change it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.schedule import Schedule
from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules
from jobs.engine.errors import Conflict, Fault, InvalidRequest, MalformedRequest, TooManyActiveJobs
from webapp.auth import caller
from webapp.body import model_of, strict_json
from webapp.ownership import visible_schedule
from webapp.pauses import pause_as_sent
from webapp.rate_limit import admit
from webapp.schedule_resource import ChangedSchedule
from webapp.schedules import edited
from webapp.services import services

from .blueprint import blueprint, done, page, refused
from .formats import json_text
from .pauses import pause_in_form

#: The fields of the form that changes a schedule.
FIELDS = ("cron", "timezone", "overlap", "catch_up", "params")


@blueprint.get("/schedules")
def schedules() -> Response:
    admit()
    return page("schedules.html", schedules=_schedules().of_user(caller().user_id))


@blueprint.get("/schedules/<schedule_id>")
def schedule(schedule_id: str) -> Response:
    found = visible_schedule(schedule_id)
    admit()
    return _page(found, _texts(found))


@blueprint.post("/schedules/<schedule_id>/edit")
def edit_schedule(schedule_id: str) -> Response:
    found = visible_schedule(schedule_id)
    try:
        edited(found, _changes(found))
    except InvalidRequest as error:
        return _page(found, _texts(found) | dict(request.form), error.faults)
    except Conflict as error:
        return refused(error.message, _place(schedule_id))
    return done("The schedule was changed.", _place(schedule_id))


@blueprint.post("/schedules/<schedule_id>/pause")
def pause_schedule(schedule_id: str) -> Response:
    found = visible_schedule(schedule_id)
    try:
        pause_as_sent(pause_in_form(), _control().check_pause, partial(_control().pause, schedule_id))
    except InvalidRequest as error:
        return _page(found, _texts(found) | dict(request.form), error.faults)
    except Conflict as error:
        return refused(error.message, _place(schedule_id))
    return done("The schedule was paused.", _place(schedule_id))


@blueprint.post("/schedules/<schedule_id>/resume")
def resume_schedule(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    admit()
    try:
        _control().resume(schedule_id)
    except Conflict as error:
        return refused(error.message, _place(schedule_id))
    return done("The schedule was resumed.", _place(schedule_id))


@blueprint.post("/schedules/<schedule_id>/run")
def run_schedule(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    try:
        admit(partial(_control().check_run, schedule_id))
        submitted = _control().run_now(schedule_id)
    except (Conflict, TooManyActiveJobs) as error:
        return refused(error.message, _place(schedule_id))
    what = "An equal job exists, and nothing was stored." if submitted.deduplicated else "The job was submitted."
    return done(what, url_for("pages.job", job_id=submitted.job.job_id))


@blueprint.post("/schedules/<schedule_id>/delete")
def delete_schedule(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    admit()
    _schedules().delete(schedule_id)
    return done("The schedule was deleted. Jobs that it has started continue.", url_for("pages.schedules"))


def _schedules() -> Schedules:
    return Schedules(services().client)


def _control() -> ScheduleChanges:
    return ScheduleChanges(services().client)


def _place(schedule_id: str) -> str:
    return url_for("pages.schedule", schedule_id=schedule_id)


def _page(found: Schedule, texts: Mapping[str, str], faults: list[Fault] | None = None) -> Response:
    return page(
        "schedule.html",
        422 if faults else 200,
        schedule=found,
        runs=_schedules().runs(found.schedule_id),
        sent=texts,
        option_errors=_by_field(faults or []),
    )


def _texts(found: Schedule) -> dict[str, str]:
    """Return the texts of the forms that change a schedule and its pause."""
    plan, pause = found.plan, found.paused
    until = pause.until.strftime("%Y-%m-%dT%H:%M:%S") if pause and pause.until else ""
    texts = {name: getattr(plan, name) for name in FIELDS} | {"params": json_text(plan.params)}
    return texts | {"reason": pause.reason or "" if pause else "", "until": until}


def _changes(found: Schedule) -> dict[str, Any]:
    """Return the fields whose values differ from those of the schedule.

    Raises:
        InvalidRequest
    """
    sent: dict[str, Any] = {name: request.form[name].strip() for name in FIELDS if name in request.form}
    if "params" in sent:
        sent["params"] = _json(sent["params"])
    changes = model_of(ChangedSchedule, sent).changes
    return {name: value for name, value in changes.items() if value != getattr(found.plan, name)}


def _json(text: str) -> Any:
    try:
        return strict_json(text)
    except MalformedRequest as error:
        message = error.message.replace("The body", "This", 1)
        raise InvalidRequest([Fault(message, error.code, pointer="/params")]) from None
    except InvalidRequest as error:
        faults = [Fault(fault.message, fault.code, pointer=f"/params{fault.pointer}") for fault in error.faults]
        raise InvalidRequest(faults) from None


def _by_field(faults: list[Fault]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fault in faults:
        name, _, rest = (fault.pointer or "").lstrip("/").partition("/")
        found.setdefault(name, []).append(f"{rest}: {fault.message}" if rest else fault.message)
    return found
