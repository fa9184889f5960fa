"""Submit jobs that run in order and use each other's results, show them as one pipeline, and cancel them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response
from pydantic import BaseModel, Field, field_validator

from jobs.engine.client.groups import Group, Member
from jobs.engine.client.pipelines import KIND, MAX_STEPS, Step, submit_pipeline
from jobs.engine.states import Status

from .auth import caller
from .batches import JOB_IDS, Entry, entry_schema
from .body import json_object, model_of
from .groups import (
    STORED_HEADERS,
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
from .openapi.schemas import Later, sent
from .openapi.shared_headers import IDEMPOTENCY_KEY
from .options import submission_fields
from .query import Nothing, query
from .rate_limit import admission
from .services import services
from .submissions import request_digest

blueprint = Blueprint("pipelines", __name__, url_prefix="/api/v1/pipelines")

Progress = Annotated[float, Field(ge=0, le=100)]


class NewStep(Entry):
    """One step of a pipeline, with the options of a submission. It always depends on the step before it."""

    @field_validator("depends_on", mode="before")
    @classmethod
    def _unneeded(cls, _value: Any) -> Any:
        raise ValueError("a step depends on the step before it, and on no other job")


class NewPipeline(BaseModel):
    steps: list[NewStep] = Field(min_length=1, max_length=MAX_STEPS)


@dataclass(frozen=True, kw_only=True)
class PipelineStep:
    """A step of a pipeline, and the job that runs it."""

    step: Annotated[int, Field(ge=0, description="Its position; the first is 0.")]
    job_type: Annotated[str | None, Field(description="null if the record of the job has expired.")]
    job_id: str
    status: Status
    progress: Progress
    error: str | None
    error_type: str | None

    @classmethod
    def of(cls, position: int, member: Member) -> PipelineStep:
        return cls(
            step=position,
            job_type=member.job_type or None,
            job_id=member.job_id,
            status=member.status,
            progress=member.progress,
            error=member.error,
            error_type=member.error_type,
        )


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Jobs that run in order. A step that fails or is cancelled cancels the steps after it."""

    pipeline_id: str
    status: Status
    progress: Progress
    job_ids: Annotated[list[str], Field(description="In the order of the steps.")]
    steps: list[PipelineStep]

    @classmethod
    def of(cls, group: Group) -> Pipeline:
        return cls(
            pipeline_id=group.group_id,
            status=group.status,
            progress=group.progress,
            job_ids=group.job_ids,
            steps=[PipelineStep.of(position, member) for position, member in enumerate(group.members)],
        )


_STEPS = [("train-model", JOB_IDS[0], "completed", 100.0), ("batch-predict", JOB_IDS[1], "running", 0.0)]
PIPELINE = resource(
    Pipeline,
    example={
        "pipeline_id": "c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7",
        "status": "running",
        "progress": 50.0,
        "job_ids": JOB_IDS,
        "steps": [
            {
                "step": position,
                "job_type": job_type,
                "job_id": job_id,
                "status": status,
                "progress": progress,
                "error": None,
                "error_type": None,
            }
            for position, (job_type, job_id, status, progress) in enumerate(_STEPS)
        ],
    },
)
_NEW_PIPELINE = sent(
    {
        "steps": {
            "type": "array",
            "items": Later(partial(entry_schema, "depends_on")),
            "minItems": 1,
            "maxItems": MAX_STEPS,
        }
    },
)
# Without a reference: tools that read the document would take it for one of their own.
_NEW_PIPELINE_EXAMPLE = {
    "steps": [
        {"job_type": "train-model", "params": {"training_data": {"texts": ["good", "bad"], "labels": ["+", "-"]}}},
        {"job_type": "batch-predict", "params": {"texts": ["It works."], "model_id": "default"}},
    ]
}


@blueprint.post("")
@described(
    "submit-pipeline",
    "Many at once",
    "Submit jobs that use each other's results",
    {"202": returns("All of the steps are stored.", PIPELINE, headers=STORED_HEADERS)},
    description='`{"$ref": "#/steps/0/result/model_id"}` anywhere in `params` stands for a part of the result of an '
    "earlier step. Its value is checked when the step starts. Steps take the same options as a single job, "
    "except for `depends_on`.",
    headers=(IDEMPOTENCY_KEY,),
    body=json_body(_NEW_PIPELINE, example=_NEW_PIPELINE_EXAMPLE),
    refused=(400, 403, 413, 415),
)
def submit() -> Response:
    key = idempotency_key()
    body = json_object()
    new = model_of(NewPipeline, body)
    query(Nothing)
    named = [(f"/steps/{place}", step.job_type, step.params) for place, step in enumerate(new.steps)]
    kinds = valid_types(named, check_params=False)
    pipeline_id, replayed = submit_pipeline(
        services().client,
        [Step(kind, step.params, submission_fields(step)) for kind, step in zip(kinds, new.steps, strict=True)],
        caller().user_id,
        admin=caller().is_admin,
        idempotency_key=key,
        digest=request_digest(body) if key else None,
        admission=admission(),
    )
    return stored_group(KIND, pipeline_id, Pipeline.of, f"/api/v1/pipelines/{pipeline_id}", replayed=replayed)


@blueprint.get("/<pipeline_id>")
@described("show-pipeline", "Many at once", "Show a pipeline", shown_as(KIND, PIPELINE), refused=(403, 404))
def show(pipeline_id: str) -> Response:
    return show_group(KIND, pipeline_id, Pipeline.of)


@blueprint.delete("/<pipeline_id>")
@described(
    "cancel-pipeline",
    "Many at once",
    "Cancel the unfinished jobs of a pipeline",
    cancelled_as(PIPELINE),
    refused=(400, 403, 404, 409, 413, 415),
)
def cancel(pipeline_id: str) -> Response:
    return cancel_group(KIND, pipeline_id, Pipeline.of)
