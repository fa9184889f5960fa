"""Look at jobs, cancel them and run them again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.rate import refuse_if_early
from jobs.engine.client.job import Job
from jobs.engine.client.listing import read_job_cursor, read_log_cursor
from jobs.engine.client.refusals import raise_if_ended, raise_unless_retryable
from jobs.engine.states import Status

from .auth import caller
from .body import no_body
from .headers import MAX_WAIT_SECONDS
from .json_answer import json_answer
from .ownership import if_visible, visible_job, visible_user_jobs
from .query import Moment, Nothing, Whole, query
from .rate_limit import admission, admit
from .services import services
from .submissions import POLL_AFTER_SECONDS, accepted
from .waiting import job_after

blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1")

Word = Annotated[str, Field(min_length=1, max_length=256)]


class Look(BaseModel):
    wait: Whole = Field(0, ge=0, le=MAX_WAIT_SECONDS)


class Filters(BaseModel):
    user_id: Word | None = None
    status: Status | None = None
    job_type: Word | None = None
    tag: Word | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    limit: Whole = Field(50, ge=1, le=200)
    cursor: Word | None = None


class LogRange(BaseModel):
    limit: Whole = Field(1_000, ge=1, le=1_000)
    cursor: Word | None = None


@blueprint.get("/jobs")
def page() -> Response:
    user_id = visible_user_jobs(request.args.get("user_id", caller().user_id))
    filters = query(Filters)
    admit(lambda: filters.cursor and read_job_cursor(filters.cursor))
    found = services().client.page(user_id, **filters.model_dump(exclude={"user_id"}))
    return json_answer({"jobs": [job.as_dict() for job in found.jobs], "next_cursor": found.next_cursor})


@blueprint.get("/jobs/<job_id>")
def show(job_id: str) -> Response:
    """Poll, or with `wait` long poll. A client that holds the current version gets 304."""
    looked = services().client.look(job_id, admission())
    job = if_visible(looked.job)
    seconds = query(Look).wait
    refuse_if_early(looked.early)
    if "HTTP_IF_NONE_MATCH" not in request.environ or not request.if_none_match:
        return _whole(job_after(job, version=None, seconds=seconds))
    if not _is_held(job, job.version):
        return _whole(job)
    later = job_after(job, version=job.version, seconds=seconds)
    return _unchanged(later) if _is_held(later, job.version) else _whole(later)


@blueprint.delete("/jobs/<job_id>")
def cancel(job_id: str) -> Response:
    job = visible_job(job_id)
    no_body()
    query(Nothing)
    admit(partial(raise_if_ended, job))
    job = services().client.cancel(job_id)
    return json_answer(job.as_dict(), 200 if job.status is Status.CANCELLED else 202)


@blueprint.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> Response:
    job = visible_job(job_id)
    no_body()
    query(Nothing)
    admit(partial(raise_unless_retryable, job))
    return accepted(services().client.retry(job_id))


@blueprint.get("/jobs/<job_id>/logs")
def logs(job_id: str) -> Response:
    visible_job(job_id)
    chosen = query(LogRange)
    admit(partial(read_log_cursor, chosen.cursor))
    found = services().client.logs(job_id, cursor=chosen.cursor, limit=chosen.limit)
    return jsonify(lines=found.lines, next_cursor=found.next_cursor)


@blueprint.get("/jobs/<job_id>/events")
def events(job_id: str) -> Response:
    visible_job(job_id)
    query(Nothing)
    admit()
    return jsonify(events=services().client.events(job_id))


def _is_held(job: Job, first_version: int) -> bool:
    """Whether the client holds this version, by its If-None-Match; '*' stands for the version it first met."""
    held = request.if_none_match
    return job.version == first_version if held.star_tag else held.contains_weak(str(job.version))


def _whole(job: Job) -> Response:
    return _tagged(json_answer(job.as_dict()), job)


def _unchanged(job: Job) -> Response:
    return _tagged(Response(status=304), job)


def _tagged(answer: Response, job: Job) -> Response:
    answer.set_etag(str(job.version))
    if not job.status.terminal:
        answer.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    return answer
