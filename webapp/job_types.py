"""Show the job types of the catalogue, and pause and resume them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import Field

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.pauses import Pause
from jobs.engine.public_fields import public_fields

from .auth import require_admin
from .openapi.components import page_of, resource
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .pauses import PAUSE_EXAMPLE, NewPause, pause_as_sent, pause_in_body, resume_as_sent
from .query import Nothing, query
from .queues import control
from .rate_limit import admit
from .services import services

blueprint = Blueprint("job_types", __name__, url_prefix="/api/v1/job-types")

_REFUSED = (400, 403, 404, 413, 415)

Paused = Annotated[Pause | None, Field(description="null unless it is paused.")]


@dataclass(frozen=True)
class JobTypeResource(JobType):
    """A function that runs as jobs, with its schemas, defaults, limits and pause.

    It describes what `job_type_fields` returns. A job type stays the same, and its pause is read for each request.
    """

    paused: Paused


@dataclass(frozen=True)
class RemovedJobType:
    """A job type whose code is gone."""

    name: str
    paused: Paused


_JOB_TYPE = resource(JobTypeResource, name="JobType")
_RESUMED = {"anyOf": [_JOB_TYPE, resource(RemovedJobType)]}


@blueprint.get("")
@described(
    "list-job-types",
    "Job types",
    "List the job types",
    {"200": returns("All job types.", page_of("JobTypePage", "job_types", _JOB_TYPE))},
)
def page() -> Response:
    query(Nothing)
    admit()
    pauses = control().pauses()
    return jsonify(
        job_types=[job_type_fields(name, pauses.of_job_type(name)) for name in services().catalogue], next_cursor=None
    )


@blueprint.get("/<job_type>")
@described(
    "show-job-type",
    "Job types",
    "Show a job type",
    {"200": returns("Its schemas, defaults and limits.", _JOB_TYPE)},
    refused=(404,),
)
def show(job_type: str) -> Response:
    services().catalogue.find(job_type)
    query(Nothing)
    admit()
    return jsonify(job_type_fields(job_type, control().pauses().of_job_type(job_type)))


@blueprint.put("/<job_type>/pause")
@described(
    "pause-job-type",
    "Job types",
    "Pause a job type",
    {"200": returns("The job type. No worker takes a job of it any more.", _JOB_TYPE)},
    description="For administrators. Jobs that run continue; submissions are still stored. A pause replaces an earlier "
    "one, unless both have the same reason and end.",
    body=json_body(NewPause, example=PAUSE_EXAMPLE, required=False),
    refused=_REFUSED,
)
def pause(job_type: str) -> Response:
    require_admin()
    services().catalogue.find(job_type)
    paused = pause_as_sent(pause_in_body(), control().check_until, partial(control().pause_job_type, job_type))
    return jsonify(job_type_fields(job_type, paused))


@blueprint.delete("/<job_type>/pause")
@described(
    "resume-job-type",
    "Job types",
    "Resume a job type",
    {"200": returns("The job type. If its code is gone: its name and its pause.", _RESUMED)},
    description="For administrators. A job type that is not paused does not change. A pause can be ended even if the "
    "code of its job type is gone.",
    refused=_REFUSED,
)
def resume(job_type: str) -> Response:
    require_admin()
    check_resumable(job_type)
    resume_as_sent(partial(control().resume_job_type, job_type))
    return jsonify(job_type_fields(job_type, None))


def check_resumable(name: str) -> None:
    """Raise JobTypeNotFound unless there is such a job type, or a pause of one whose code is gone."""
    if name not in services().catalogue and not control().pauses().of_job_type(name):
        services().catalogue.find(name)


def job_type_fields(name: str, paused: Pause | None) -> dict[str, Any]:
    """Return a job type as the API shows it. If its code is gone, only its name and its pause are known."""
    kind = services().catalogue.get(name)
    fields = kind.as_dict() if kind else public_fields(RemovedJobType(name, paused))
    return fields | {"paused": paused and paused.as_dict()}
