"""Submit many jobs at once, show them as one batch, and cancel them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from jobs.engine.author.public_addresses import PublicUrl
from jobs.engine.client.groups import Group
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.states import Status

from .auth import caller
from .body import json_object, model_of
from .groups import (
    STORED_HEADERS,
    JobTypeName,
    Params,
    cancel_group,
    cancelled_as,
    show_group,
    shown_as,
    stored_group,
    valid_types,
)
from .headers import idempotency_key
from .openapi.components import resource
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .openapi.schemas import TEXT, JobCounts, Later, nullable, sent
from .openapi.shared_headers import IDEMPOTENCY_KEY
from .options import JsonOptions, json_properties, submission_of
from .query import Nothing, query
from .rate_limit import admission
from .services import services
from .submissions import request_digest

blueprint = Blueprint("batches", __name__, url_prefix="/api/v1/batches")

KIND = "batch"
MAX_JOBS = 1_000


class Entry(JsonOptions):
    """One job of a batch, with the options of a submission."""

    job_type: JobTypeName
    params: Params = Field(default_factory=dict)


class NewBatch(BaseModel):
    jobs: list[Entry] = Field(min_length=1, max_length=MAX_JOBS)
    webhook_url: PublicUrl | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Jobs that were submitted together."""

    batch_id: str
    status: Annotated[
        Status, Field(description="`running` from the first start to the last end; then the worst end of a job.")
    ]
    progress: Annotated[
        float, Field(ge=0, le=100, description="The mean progress of its jobs. A job that has ended counts as 100.")
    ]
    counts: Annotated[JobCounts, Field(description="The number of jobs in each status.")]
    job_ids: Annotated[list[str], Field(description="In the order of their submission.")]

    @classmethod
    def of(cls, group: Group) -> Batch:
        return cls(
            batch_id=group.group_id,
            status=group.status,
            progress=group.progress,
            counts=group.counts,
            job_ids=group.job_ids,
        )


JOB_IDS = ["6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80", "0b9d3f1e2c4a4f6d9e8b7a6c5d4e3f21"]
BATCH = resource(
    Batch,
    example={
        "batch_id": "a3f07c52d1e84b6f9c0d1e2f3a4b5c6d",
        "status": "running",
        "progress": 70.0,
        "counts": {"pending": 0, "running": 1, "completed": 1, "failed": 0, "cancelled": 0},
        "job_ids": JOB_IDS,
    },
)


def entry_schema(*without: str) -> dict[str, Any]:
    """Describe one entry of a batch as JSON Schema, without some of the options."""
    params = {"type": "object", "description": "The parameters of the job.", "default": {}}
    options = {name: schema for name, schema in json_properties().items() if name not in without}
    optional = {"params": params, **options}
    return sent({"job_type": TEXT, **optional}, optional=tuple(optional))


_NEW_BATCH = sent(
    {
        "jobs": {"type": "array", "items": Later(entry_schema), "minItems": 1, "maxItems": MAX_JOBS},
        "webhook_url": nullable(TEXT) | {"description": "Receives a signed message when all of the jobs have ended."},
    },
    optional=("webhook_url",),
)
_NEW_BATCH_EXAMPLE = {
    "jobs": [
        {"job_type": "batch-predict", "params": {"texts": ["It works."]}, "priority": "high"},
        {"job_type": "batch-predict", "params": {"texts": ["It is slow."]}, "tag": ["nightly"]},
    ]
}


@blueprint.post("")
@described(
    "submit-batch",
    "Many at once",
    "Submit many jobs",
    {"202": returns("All of the jobs are stored.", BATCH, headers=STORED_HEADERS)},
    description="At most 1,000 jobs. All are stored, or none. Entries take the same options as a single job. The "
    "pointers of a refusal begin with the entry: `/jobs/3/params/texts/0`.",
    headers=(IDEMPOTENCY_KEY,),
    body=json_body(_NEW_BATCH, example=_NEW_BATCH_EXAMPLE),
    refused=(400, 403, 413, 415),
)
def submit() -> Response:
    key = idempotency_key()
    body = json_object()
    new = model_of(NewBatch, body)
    query(Nothing)
    kinds = valid_types([(f"/jobs/{place}", entry.job_type, entry.params) for place, entry in enumerate(new.jobs)])
    user = caller()
    group = NewGroup(
        KIND,
        user.user_id,
        admin=user.is_admin,
        idempotency_key=key,
        digest=request_digest(body) if key else None,
        webhook_url=new.webhook_url,
    )
    submissions = [submission_of(kind, each.params, each, user) for kind, each in zip(kinds, new.jobs, strict=True)]
    batch_id, replayed = submit_batch(services().client, group, submissions, admission())
    return stored_group(KIND, batch_id, Batch.of, f"/api/v1/batches/{batch_id}", replayed=replayed)


@blueprint.get("/<batch_id>")
@described("show-batch", "Many at once", "Show a batch", shown_as(KIND, BATCH), refused=(403, 404))
def show(batch_id: str) -> Response:
    return show_group(KIND, batch_id, Batch.of)


@blueprint.delete("/<batch_id>")
@described(
    "cancel-batch",
    "Many at once",
    "Cancel the unfinished jobs of a batch",
    cancelled_as(BATCH),
    refused=(400, 403, 404, 409, 413, 415),
)
def cancel(batch_id: str) -> Response:
    return cancel_group(KIND, batch_id, Batch.of)
