"""Pause and resume queues and job types, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.pauses import Pause
from jobs.engine.errors import InvalidRequest
from jobs.engine.json_pointer import parts
from webapp.auth import require_admin
from webapp.body import model_of
from webapp.job_types import check_resumable
from webapp.pauses import NewPause, pause_as_sent
from webapp.queues import control
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, page
from .entered_times import as_api_time


@blueprint.get("/overview/queues/<queue_name>/pause")
def pause_queue_form(queue_name: str) -> Response:
    require_admin()
    control().check_queue(queue_name)
    admit()
    return _form(f"queue {queue_name}", url_for("pages.overview"))


@blueprint.post("/overview/queues/<queue_name>/pause")
def pause_queue(queue_name: str) -> Response:
    require_admin()
    control().check_queue(queue_name)
    return _pause(f"queue {queue_name}", url_for("pages.overview"), partial(control().pause_queue, queue_name))


@blueprint.post("/overview/queues/<queue_name>/resume")
def resume_queue(queue_name: str) -> Response:
    require_admin()
    control().check_queue(queue_name)
    admit()
    control().resume_queue(queue_name)
    return done(f"The pause of queue {queue_name} has ended.", url_for("pages.overview"))


@blueprint.get("/submit/<job_type>/pause")
def pause_job_type_form(job_type: str) -> Response:
    require_admin()
    name = services().catalogue.find(job_type).name
    admit()
    return _form(f"job type {name}", url_for("pages.submit_form", job_type=name))


@blueprint.post("/submit/<job_type>/pause")
def pause_job_type(job_type: str) -> Response:
    require_admin()
    name = services().catalogue.find(job_type).name
    place = url_for("pages.submit_form", job_type=name)
    return _pause(f"job type {name}", place, partial(control().pause_job_type, name))


@blueprint.post("/submit/<job_type>/resume")
def resume_job_type(job_type: str) -> Response:
    require_admin()
    check_resumable(job_type)
    admit()
    control().resume_job_type(job_type)
    known = job_type in services().catalogue
    place = url_for("pages.submit_form", job_type=job_type) if known else url_for("pages.overview")
    return done(f"The pause of job type {job_type} has ended.", place)


def _form(subject: str, back: str, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    return page("pause.html", status, subject=subject, back=back, errors=errors or {}, sent=request.form)


def _pause(subject: str, back: str, pause: Callable[..., Pause]) -> Response:
    try:
        pause_as_sent(pause_in_form(), control().check_until, pause)
    except InvalidRequest as error:
        return _form(subject, back, 422, {parts(fault.pointer or "")[0]: fault.message for fault in error.faults})
    return done(f"Paused: {subject}. Running jobs finish.", back)


def pause_in_form() -> NewPause:
    """Read a pause from the form of the request. Raises InvalidRequest."""
    reason, until = (request.form.get(name, "").strip() for name in ("reason", "until"))
    return model_of(NewPause, {"reason": reason, "until": as_api_time(until) or None})
