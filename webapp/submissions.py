"""Submit a job: validate the whole request, store the job, and wait for its end if the client prefers that."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Submitted
from jobs.engine.client.job import Job
from jobs.engine.errors import BrokerUnavailable
from jobs.engine.settings import Settings

from .auth import caller
from .body import json_object
from .current import current_request
from .headers import idempotency_key, preferred_wait
from .json_response import json_response
from .openapi.describing import described_for_each_job_type
from .openapi.job_type_components import job_name, params_name
from .openapi.operation import LOCATION, RETRY_AFTER, json_body, operation, request_header, response_header, returns
from .openapi.schemas import TEXT, Schema
from .openapi.shared_headers import IDEMPOTENCY_KEY, REPLAYED
from .options import Options, openapi_parameters, submission_of
from .query import query
from .rate_limit import admission
from .services import services
from .waiting import job_after

blueprint = Blueprint("submissions", __name__, url_prefix="/api/v1")

POLL_AFTER_SECONDS = 1
POLL_AFTER = ("Retry-After", str(POLL_AFTER_SECONDS))

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


_PREFER = request_header(
    "Prefer",
    {"type": "string", "examples": ["wait=10"]},
    "`wait=N` (N ≤ 25): return 200 with the final resource if the job ends within N seconds.",
)


_DEDUPLICATED: Schema = {"const": True, "description": "The request met an equal job, and stored nothing."}


def with_deduplicated(job: Schema) -> Schema:
    """Describe a job that may have been found by its unique key."""
    return {"allOf": [job, {"type": "object", "properties": {"deduplicated": _DEDUPLICATED}}]}


def _submitting(job_type: JobType, settings: Settings) -> Schema:
    job = {"$ref": f"#/components/schemas/{job_name(job_type)}"}
    params = {"$ref": f"#/components/schemas/{params_name(job_type)}"}
    known = {"Location": LOCATION, "Idempotency-Replayed": REPLAYED}
    applied = response_header("The wait that was granted.", {**TEXT, "examples": ["wait=10"]})
    return operation(
        f"submit-{job_type.name}",
        "Submitting",
        job_type.summary or job_type.name,
        {
            "202": returns("The job is stored.", job, headers=known | {"Retry-After": RETRY_AFTER}),
            "200": returns(
                "The job ended within the preferred wait; or it is your job with the same unique key, which existed.",
                with_deduplicated(job),
                headers=known | {"Preference-Applied": applied},
            ),
        },
        description="\n\n".join(filter(None, [job_type.description, _limits(job_type, settings)])),
        parameters=(*openapi_parameters(), IDEMPOTENCY_KEY, _PREFER),
        body=json_body(params),
        refused=(400, 403, 409, 413, 415),
    )


def _limits(job_type: JobType, settings: Settings) -> str:
    attempts = "one attempt" if job_type.max_attempts == 1 else f"up to {job_type.max_attempts} attempts"
    kept = job_type.result_ttl or settings.result_ttl
    return (
        f"Runs in {attempts} of at most {job_type.timeout} s, by default with {job_type.priority} priority. "
        f"The limit of the body is {settings.max_params_bytes} bytes. The result is kept for {kept} s."
    )


@blueprint.post("/jobs/<job_type>")
@described_for_each_job_type(_submitting)
def submit(job_type: str) -> Response:
    """Store a job after everything in the request has been validated."""
    the = services()
    kind = the.catalogue.find(job_type)
    key = idempotency_key()
    params = json_object()
    options = query(Options)
    seconds = preferred_wait()
    kind.parameters.validate(params)
    digest = request_digest(params) if key else None
    submission = submission_of(kind, params, options, caller(), idempotency_key=key, digest=digest)
    return _response(the.client.submit(submission, admission()), seconds)


def accepted(job: Job) -> Response:
    """Return a 202 response for a stored job, to be polled after a second."""
    return json_response(job.as_dict(), 202, [("Location", job.poll_url), POLL_AFTER])


def deduplicated(job: Job, seconds: int | None = None) -> Response:
    """Return a 200 response for the job that has the unique key of the request."""
    response = json_response(job.as_dict() | {"deduplicated": True})
    response.headers["Location"] = job.poll_url
    if seconds is not None and job.status.terminal:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


def _response(submitted: Submitted, seconds: int | None) -> Response:
    job = submitted.job if seconds is None else _awaited(submitted.job, seconds)
    if submitted.deduplicated:
        return deduplicated(job, seconds)
    response = accepted(job) if seconds is None or not job.status.terminal else _done(job, seconds)
    if submitted.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _awaited(job: Job, seconds: int) -> Job:
    """Wait for the job. It is stored, so an outage of the broker while waiting is not an error of the request."""
    try:
        return job_after(job, version=None, seconds=seconds)
    except BrokerUnavailable:
        return job


def _done(job: Job, seconds: int) -> Response:
    response = json_response(job.as_dict())
    response.headers["Location"] = job.poll_url
    response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


def request_digest(params: Any) -> str:
    """Return a digest of the request that does not depend on the order of keys and parameters."""
    request = current_request()
    query = sorted(request.args.items(multi=True)) if request.environ.get("QUERY_STRING") else []
    parts = [request.method, request.path, query, params]
    return sha256(_ENCODER.encode(parts).encode()).hexdigest()
