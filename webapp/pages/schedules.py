"""The caller's schedules, and how to delete them."""

from __future__ import annotations

from flask import url_for
from werkzeug.wrappers import Response

from jobs.engine.client.schedules import Schedules
from webapp.auth import caller
from webapp.ownership import visible_schedule
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, page


@blueprint.get("/schedules")
def schedules() -> Response:
    admit()
    return page("schedules.html", schedules=Schedules(services().client).of_user(caller().user_id))


@blueprint.post("/schedules/<schedule_id>/delete")
def delete_schedule(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    admit()
    Schedules(services().client).delete(schedule_id)
    return done("The schedule was deleted. Jobs that it has started continue.", url_for("pages.schedules"))
