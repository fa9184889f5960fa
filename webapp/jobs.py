"""Show, list, cancel and retry jobs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.rate import refuse_if_early
from jobs.engine.broker.store.history import Event, LogLine
from jobs.engine.client.job import Job
from jobs.engine.client.listing import read_job_cursor, read_log_cursor
from jobs.engine.client.refusals import raise_if_ended
from jobs.engine.states import Status

from .auth import caller
from .body import no_body
from .current import current_request
from .headers import MAX_WAIT_SECONDS
from .json_response import json_response
from .openapi.components import resource
from .openapi.describing import described
from .openapi.job_schema import JOB, JOB_EXAMPLE, JOB_PAGE
from .openapi.operation import LOCATION, RETRY_AFTER, response_header, returns
from .openapi.schemas import CURSOR, TEXT, returned
from .openapi.shared_headers import ETAG_SEEN
from .ownership import if_visible, visible_job, visible_user_jobs
from .query import WHOLE_NUMBER, Moment, Nothing, query
from .rate_limit import admission, admit
from .services import services
from .submissions import POLL_AFTER, accepted
from .waiting import job_after

blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1")

Word = Annotated[str, Field(min_length=1, max_length=256)]


Cursor = Annotated[Word | None, Field(description="The `next_cursor` of the page before.")]


class Wait(BaseModel):
    wait: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait at most."), WHOLE_NUMBER] = 0


class Filters(BaseModel):
    user_id: Annotated[Word | None, Field(description="The owner, for administrators. By default the caller.")] = None
    status: Annotated[Status | None, Field(description="Only jobs in this status.")] = None
    job_type: Annotated[Word | None, Field(description="Only jobs of this type.")] = None
    tag: Annotated[Word | None, Field(description="Only jobs with this tag.")] = None
    created_after: Annotated[Moment | None, Field(description="Only jobs submitted later.")] = None
    created_before: Annotated[Moment | None, Field(description="Only jobs submitted earlier.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Jobs on one page."), WHOLE_NUMBER] = 50
    cursor: Cursor = None


class LogRange(BaseModel):
    limit: Annotated[int, Field(ge=1, le=1_000, description="Lines on one page."), WHOLE_NUMBER] = 1_000
    cursor: Cursor = None


_EVENT = resource(Event)
_LOG_LINE = resource(LogLine)
_LOG_EXAMPLE = {"at": JOB_EXAMPLE["started_at"], "attempt": 1, "level": "info", "message": "Loading the model"}
_EVENT_EXAMPLE = {"version": 1, "at": JOB_EXAMPLE["created_at"], "type": "job_queued"}
_JOB_HEADERS = {
    "ETag": response_header('The version, quoted: `"7"`.', TEXT),
    "Retry-After": RETRY_AFTER | {"description": "Seconds to wait before the next request, until the job has ended."},
}


@blueprint.get("/jobs")
@described(
    "list-jobs",
    "Jobs",
    "List jobs, newest first",
    {"200": returns("One page. Filtered by job type or tag, it may be short and still have a next one.", JOB_PAGE)},
    query=Filters,
    refused=(403,),
)
def page() -> Response:
    user_id = visible_user_jobs(request.args.get("user_id", caller().user_id))
    filters = query(Filters)
    admit(lambda: filters.cursor and read_job_cursor(filters.cursor))
    found = services().client.page(user_id, **filters.model_dump(exclude={"user_id"}))
    return json_response({"jobs": [job.as_dict() for job in found.jobs], "next_cursor": found.next_cursor})


@blueprint.get("/jobs/<job_id>")
@described(
    "show-job",
    "Jobs",
    "Show a job, or wait for it to change",
    {
        "200": returns("The job.", JOB, headers=_JOB_HEADERS),
        "304": {"description": "The version is still that of `If-None-Match`.", "headers": _JOB_HEADERS},
    },
    description="With `wait=N` it returns as soon as the version passes that of `If-None-Match` or, without this "
    "header, as soon as the job has ended; at the latest after N seconds.",
    query=Wait,
    headers=(ETAG_SEEN,),
    refused=(403, 404),
)
def show(job_id: str) -> Response:
    looked = services().client.look(job_id, admission())
    job = if_visible(looked.job)
    seconds = query(Wait).wait
    refuse_if_early(looked.early)
    received = current_request()
    if "HTTP_IF_NONE_MATCH" not in received.environ or not received.if_none_match:
        return _whole(job_after(job, version=None, seconds=seconds))
    if not _is_held(job, job.version):
        return _whole(job)
    later = job_after(job, version=job.version, seconds=seconds)
    return _unchanged(later) if _is_held(later, job.version) else _whole(later)


@blueprint.delete("/jobs/<job_id>")
@described(
    "cancel-job",
    "Jobs",
    "Cancel a job",
    {
        "200": returns("The job was pending, and is cancelled.", JOB),
        "202": returns("The job was running. Its process stops within 5 s.", JOB),
    },
    refused=(400, 403, 404, 409, 413, 415),
)
def cancel(job_id: str) -> Response:
    job = visible_job(job_id)
    no_body()
    query(Nothing)
    admit(partial(raise_if_ended, job))
    job = services().client.cancel(job_id)
    return json_response(job.as_dict(), 200 if job.status is Status.CANCELLED else 202)


@blueprint.post("/jobs/<job_id>/retry")
@described(
    "retry-job",
    "Jobs",
    "Retry a failed or cancelled job from its checkpoint",
    {"202": returns("The job is pending again.", JOB, headers={"Location": LOCATION, "Retry-After": RETRY_AFTER})},
    refused=(400, 403, 404, 409, 413, 415),
)
def retry(job_id: str) -> Response:
    visible_job(job_id)
    no_body()
    query(Nothing)
    admit(partial(services().client.check_retry, job_id))
    return accepted(services().client.retry(job_id))


@blueprint.get("/jobs/<job_id>/logs")
@described(
    "show-logs",
    "Jobs",
    "Show what a job logged and printed",
    {
        "200": returns(
            "Oldest first. Logs are capped: the oldest lines are dropped first.",
            returned({"lines": {"type": "array", "items": _LOG_LINE}, "next_cursor": CURSOR}),
            example={"lines": [_LOG_EXAMPLE], "next_cursor": None},
        )
    },
    query=LogRange,
    refused=(403, 404),
)
def logs(job_id: str) -> Response:
    visible_job(job_id)
    chosen = query(LogRange)
    admit(partial(read_log_cursor, chosen.cursor))
    found = services().client.logs(job_id, cursor=chosen.cursor, limit=chosen.limit)
    return jsonify(lines=found.lines, next_cursor=found.next_cursor)


@blueprint.get("/jobs/<job_id>/events")
@described(
    "show-events",
    "Jobs",
    "Show a job's history",
    {
        "200": returns(
            "In order, except for superseded progress. The newest 200 entries are kept.",
            returned({"events": {"type": "array", "items": _EVENT}}),
            example={"events": [_EVENT_EXAMPLE]},
        )
    },
    refused=(403, 404),
)
def events(job_id: str) -> Response:
    visible_job(job_id)
    query(Nothing)
    admit()
    return jsonify(events=services().client.events(job_id))


def _is_held(job: Job, first_version: int) -> bool:
    """Return True if If-None-Match names this version. `*` stands for the version at the start of the request."""
    held = request.if_none_match
    return job.version == first_version if held.star_tag else held.contains_weak(str(job.version))


def _whole(job: Job) -> Response:
    return json_response(job.as_dict(), headers=_headers(job))


def _unchanged(job: Job) -> Response:
    return Response(status=304, headers=_headers(job))


def _headers(job: Job) -> list[tuple[str, str]]:
    version = ("ETag", f'"{job.version}"')
    return [version] if job.status.terminal else [version, POLL_AFTER]
