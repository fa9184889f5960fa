"""Show the job types of the catalogue, and pause and resume them."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify

from jobs.engine.author.retry import BACKOFFS
from jobs.engine.author.unique import CONFLICTS, UNTIL
from jobs.engine.client.pauses import Pause

from .auth import require_admin
from .openapi.components import component, page_of, resource
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .openapi.schemas import COUNT, PRIORITY, SECONDS, TEXT, Schema, nullable, returned
from .pauses import PAUSE_EXAMPLE, NewPause, pause_as_sent, pause_in_body, resume_as_sent
from .query import Nothing, query
from .queues import control
from .rate_limit import admit
from .services import services

blueprint = Blueprint("job_types", __name__, url_prefix="/api/v1/job-types")

_RETRY = component(
    "RetryPolicy",
    returned(
        {
            "max_retries": COUNT,
            "backoff": {"type": "string", "enum": list(BACKOFFS)},
            "delay": SECONDS,
            "max_delay": SECONDS,
            "jitter": {"type": "boolean"},
            "on": {"type": "array", "items": TEXT, "description": "The errors that are retried."},
            "never": {"type": "array", "items": TEXT, "description": "The errors that are not."},
        },
        description="When a failed attempt is retried. Times are in seconds.",
    ),
)
_REFUSED = (400, 403, 404, 413, 415)
_BY: Schema = {"type": "array", "items": TEXT, "description": "The parameters that make up the key; `user`: the owner."}
_LIMIT = component(
    "Limit",
    returned(
        {
            "running": nullable(COUNT) | {"description": "The most jobs that run at the same time."},
            "rate": nullable(TEXT)
            | {"description": "The most executions that start in any period.", "examples": ["60/minute"]},
            "by": _BY,
        },
        description="A limit for each combination of the values of `by`. Either `running` or `rate` is null.",
    ),
)
_UNIQUE = component(
    "Unique",
    returned(
        {
            "by": {"anyOf": [_BY, {"type": "null"}], "description": "null: all parameters."},
            "until": {"type": "string", "enum": list(UNTIL), "description": "When the key is free again."},
            "ttl": nullable(SECONDS) | {"description": "Seconds after which the key is free in any case."},
            "on_conflict": {"type": "string", "enum": list(CONFLICTS)},
        },
        description="Of several equal jobs of a user, only one is stored at a time.",
    ),
)
_PAUSED: Schema = {"anyOf": [resource(Pause), {"type": "null"}], "description": "null unless it is paused."}
_JOB_TYPE = component(
    "JobType",
    returned(
        {
            "name": TEXT,
            "summary": TEXT,
            "description": TEXT,
            "params_schema": {"type": "object", "description": "The JSON Schema 2020-12 of the body to submit."},
            "result_schema": {"type": "object", "description": "The JSON Schema 2020-12 of the result."},
            "priority": PRIORITY,
            "timeout": {"type": "integer", "minimum": 1, "description": "Seconds that one attempt may take."},
            "stall_timeout": nullable(SECONDS)
            | {"description": "Seconds without progress after which an attempt fails."},
            "retry": {"anyOf": [_RETRY, {"type": "null"}]},
            "max_attempts": {"type": "integer", "minimum": 1},
            "max_running": nullable(COUNT)
            | {"description": "Jobs of this type that may run at the same time; null: no limit."},
            "reuse": {
                "type": "integer",
                "minimum": 1,
                "description": "Attempts that one process may serve, one after the other. "
                "They share the variables of modules, even if they belong to different users.",
            },
            "result_ttl": nullable(COUNT)
            | {"description": "Seconds for which a result is kept; null: the server's default."},
            "needs": {"type": "array", "items": TEXT, "description": "What a worker must be able to do."},
            "limits": {"type": "array", "items": _LIMIT, "description": "`max_running` is among them."},
            "unique": {"anyOf": [_UNIQUE, {"type": "null"}]},
            "start_within": nullable(SECONDS)
            | {"description": "Seconds in which a job must start, or else it is cancelled; null: no limit."},
            "paused": _PAUSED,
        }
    ),
)
_RESUMED = {"anyOf": [_JOB_TYPE, component("RemovedJobType", returned({"name": TEXT, "paused": _PAUSED}))]}


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
    return (kind.as_dict() if kind else {"name": name}) | {"paused": paused and paused.as_dict()}
