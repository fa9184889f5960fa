"""Cancel, retry or delete all jobs that match a filter, in a job of their own."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from jobs.engine.client.bulk import bulk_submission
from jobs.engine.client.bulk_request import Action
from jobs.engine.client.job_filter import JobFilter

from .auth import caller
from .body import json_object
from .headers import idempotency_key
from .openapi.describing import described
from .openapi.job_schema import JOB
from .openapi.operation import LOCATION, RETRY_AFTER, json_body, returns
from .openapi.shared_headers import IDEMPOTENCY_KEY, REPLAYED
from .query import Nothing, query
from .rate_limit import admission
from .services import services
from .submissions import accepted, request_digest

blueprint = Blueprint("bulk", __name__, url_prefix="/api/v1/jobs/bulk")


class BulkRequest(BaseModel):
    """The body, for its description. The job type's parameters check it."""

    action: Annotated[Action, Field(description="What to do with each job.")]
    filter: JobFilter


@blueprint.post("")
@described(
    "submit-bulk",
    "Jobs",
    "Cancel, retry or delete all jobs that match a filter",
    {
        "202": returns(
            'A job of type `bulk-action` is stored. Its result is `{"matched", "done", "skipped"}`.',
            JOB,
            headers={"Location": LOCATION, "Retry-After": RETRY_AFTER, "Idempotency-Replayed": REPLAYED},
        )
    },
    description="All conditions of the filter must hold, and at least one must be set. Only jobs that matched when the "
    "request was accepted are touched. A job that can't be changed is skipped and counted. Users act on their own "
    "jobs; administrators on those of `user_id`, or on all with `*`.",
    headers=(IDEMPOTENCY_KEY,),
    body=json_body(BulkRequest, example={"action": "retry", "filter": {"error_type": "timeout"}}),
    refused=(400, 403, 404, 413, 415),
)
def submit() -> Response:
    key = idempotency_key()
    params = json_object()
    query(Nothing)
    digest = request_digest(params) if key else None
    submission = bulk_submission(services().catalogue, params, caller(), key=key, digest=digest)
    submitted = services().client.submit(submission, admission())
    response = accepted(submitted.job)
    if submitted.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
