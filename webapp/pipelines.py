"""Submit jobs that run one after the other on each other's results, look at them as one, and cancel them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from jobs.engine.client.groups import Group, Groups, steps_of
from jobs.engine.client.pipelines import KIND, MAX_STEPS, Step, submit_pipeline

from .auth import caller
from .batches import JobTypeName, cancelled, current, stored, valid_types
from .body import json_object, model_of, no_body
from .headers import idempotency_key
from .ownership import visible_group
from .query import Nothing, query
from .rate_limit import admission, admit
from .services import services
from .submissions import request_digest

blueprint = Blueprint("pipelines", __name__, url_prefix="/api/v1/pipelines")


class NewStep(BaseModel):
    job_type: JobTypeName
    params: dict[str, Any] = Field(default_factory=dict)


class NewPipeline(BaseModel):
    steps: list[NewStep] = Field(min_length=1, max_length=MAX_STEPS)


@blueprint.post("")
def submit() -> Response:
    """All of the steps are stored, or none."""
    key = idempotency_key()
    sent = json_object()
    new = model_of(NewPipeline, sent)
    query(Nothing)
    named = [(f"/steps/{place}", step.job_type, step.params) for place, step in enumerate(new.steps)]
    kinds = valid_types(named, check_params=False)
    pipeline_id, replayed = submit_pipeline(
        services().client,
        [Step(kind, step.params) for kind, step in zip(kinds, new.steps, strict=True)],
        caller().user_id,
        admin=caller().is_admin,
        idempotency_key=key,
        digest=request_digest(sent) if key else None,
        admission=admission(),
    )
    group = Groups(services().client).find(KIND, pipeline_id)
    return stored(_resource(group), f"/api/v1/pipelines/{pipeline_id}", replayed)


@blueprint.get("/<pipeline_id>")
def show(pipeline_id: str) -> Response:
    group = visible_group(KIND, pipeline_id)
    query(Nothing)
    admit()
    return current(_resource(group), group)


@blueprint.delete("/<pipeline_id>")
def cancel(pipeline_id: str) -> Response:
    group = visible_group(KIND, pipeline_id)
    no_body()
    query(Nothing)
    admit(group.check_cancel)
    group = Groups(services().client).cancel(KIND, pipeline_id)
    return cancelled(_resource(group), group)


def _resource(group: Group) -> dict[str, Any]:
    return {
        "pipeline_id": group.group_id,
        "status": str(group.status),
        "progress": group.progress,
        "job_ids": group.job_ids,
        "steps": list(steps_of(group)),
    }
