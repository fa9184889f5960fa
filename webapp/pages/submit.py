"""Submit a job or create a schedule with a form made from the job type's schema."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from os import SEEK_END
from typing import Any, TypeVar

from flask import request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.schedule import CatchUp, Overlap, Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.errors import (
    DuplicateJob,
    Fault,
    Forbidden,
    InvalidRequest,
    JobNotFound,
    PayloadTooLarge,
    TooManyActiveJobs,
    WorkhorseError,
)
from webapp.auth import caller
from webapp.options import OPTIONS, Options, submission_of
from webapp.ownership import visible_file, visible_job
from webapp.problems import status_of
from webapp.query import read
from webapp.queues import control
from webapp.rate_limit import admit
from webapp.rule_words import rules_in_words
from webapp.services import services
from webapp.upload import CHUNK_BYTES

from .blueprint import blueprint, done, page
from .fields import Field, fields_of
from .form import Form

#: The form's fields beside the parameters and the options.
SCHEDULE = ("cron", "timezone", "overlap", "catch_up")


Choice = TypeVar("Choice", Overlap, CatchUp)


@blueprint.get("/submit/<job_type>")
def submit_form(job_type: str) -> Response:
    """Show the empty form, or with `like` the form filled in with the parameters of an earlier job."""
    kind = services().catalogue.find(job_type)
    admit()
    return _page(kind, Form.showing(fields_of(kind.parameters.schema), _params_like(request.args.get("like"))))


@blueprint.post("/submit/<job_type>")
def submit(job_type: str) -> Response:
    kind = services().catalogue.find(job_type)
    form = Form(fields_of(kind.parameters.schema), request.form)
    params = form.params()
    try:
        kind.parameters.validate(params)
        if form.has_errors:
            raise InvalidRequest([])
        return _scheduled(kind, params) if request.form.get("do") == "schedule" else _submitted(kind, params)
    except InvalidRequest as error:
        form.blame(error.faults)
        return _page(kind, form, status_of(error), _faults_of_options(error))
    except (DuplicateJob, Forbidden, TooManyActiveJobs) as error:
        form.errors.append(error.message)
        return _page(kind, form, status_of(error))


@blueprint.post("/submit/<job_type>/files")
def upload(job_type: str) -> Response:
    """Store the chosen files and show the form with their ids, for browsers without JavaScript: all files or none."""
    kind = services().catalogue.find(job_type)
    settings = services().settings
    request.max_content_length = settings.max_upload_bytes + settings.max_params_bytes
    request.max_form_memory_size = settings.max_params_bytes
    fields = fields_of(kind.parameters.schema)
    chosen = [(each, _chosen(each)) for top in fields for each in top.walk() if each.kind in ("file", "files")]
    if faults := [fault for field, files in chosen for fault in _too_large(field, files)]:
        form = Form(fields, request.form)
        form.blame(faults)
        return _page(kind, form, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    admit()
    texts = dict(request.form)
    for field, files in chosen:
        ids = [_stored(each) for each in files]
        if ids:
            before = texts.get(field.pointer, "").split() if field.kind == "files" else []
            texts[field.pointer] = "\n".join([*before, *ids])
    return _page(kind, Form(fields, texts))


def _chosen(field: Field) -> list[FileStorage]:
    return [sent for sent in request.files.getlist(field.pointer) if sent.filename]


def _too_large(field: Field, files: list[FileStorage]) -> Iterator[Fault]:
    limit = services().settings.max_upload_bytes
    for sent in files:
        if sent.stream.seek(0, SEEK_END) > limit:
            message = f"{sent.filename} is over the limit of {limit} bytes for a file (MAX_UPLOAD_BYTES)."
            yield Fault(message, PayloadTooLarge.code, pointer=field.pointer)
        sent.stream.seek(0)


def _stored(sent: FileStorage) -> str:
    chunks = iter(partial(sent.stream.read, CHUNK_BYTES), b"")
    return services().client.files.save(caller().user_id, str(sent.filename), sent.mimetype, chunks).file_id


def _submitted(kind: JobType, params: dict[str, Any]) -> Response:
    submission = submission_of(kind, params, _options(), caller())
    admit(partial(services().client.check, submission))
    submitted = services().client.submit(submission)
    what = "An equal job exists, and nothing was stored." if submitted.deduplicated else "The job was submitted."
    return done(what, url_for("pages.job", job_id=submitted.job.job_id))


def _scheduled(kind: JobType, params: dict[str, Any]) -> Response:
    cron, timezone = (request.form.get(name, "").strip() for name in ("cron", "timezone"))
    choices = _chosen_of(Overlap, "overlap", Overlap.ALLOW), _chosen_of(CatchUp, "catch_up", CatchUp.ONE)
    plan = Plan(kind.name, params, cron, timezone or "UTC", *choices)
    schedules, user = Schedules(services().client), caller()
    admit(partial(schedules.check_create, user.user_id, plan, admin=user.is_admin))
    schedules.create(user.user_id, plan, admin=user.is_admin)
    return done(f"The schedule for {kind.name} was created.", url_for("pages.schedules"))


def _chosen_of(kind: type[Choice], name: str, default: Choice) -> Choice:
    try:
        return kind(request.form.get(name) or default)
    except ValueError:
        raise InvalidRequest([Fault(f"choose one of {', '.join(kind)}", "enum", pointer=f"/{name}")]) from None


def _options() -> Options:
    given: dict[str, Any] = {}
    for option in OPTIONS:
        if text := request.form.get(option.name, "").strip():
            given[option.name] = tuple(text.replace(",", " ").split()) if option.repeatable else text
    return read(Options, given)


def _faults_of_options(error: InvalidRequest) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fault in error.faults:
        name = fault.parameter or (fault.pointer or "").removeprefix("/")
        if name in Options.model_fields or name in SCHEDULE:
            found.setdefault(name, []).append(fault.message)
    return found


def _params_like(job_id: str | None) -> Any:
    if job_id is None:
        return None
    try:
        return visible_job(job_id).params
    except (JobNotFound, Forbidden):
        return None


def _page(kind: JobType, form: Form, status: int = 200, options: dict[str, list[str]] | None = None) -> Response:
    # The error of an option appears beside it, not also above the form.
    form.errors = [each for each in form.errors if each.partition(":")[0].lstrip("/") not in (options or {})]
    return page(
        "submit.html",
        status,
        job_type=kind,
        form=form,
        rules=rules_in_words(kind),
        paused=control().pauses().of_job_type(kind.name),
        options=OPTIONS,
        option_errors=options or {},
        filename=_filename,
        sent=request.form,
    )


def _filename(text: str) -> str:
    """Return the name of the file whose ID is in a field; empty if the caller may not see it."""
    try:
        return visible_file(text.strip()).filename
    except WorkhorseError:
        return ""
