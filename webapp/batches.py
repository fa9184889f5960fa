"""Submit many jobs at once, look at them as one, and cancel them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.author.public_addresses import PublicUrl
from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.client.groups import Group, Groups
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.errors import Fault, InvalidParameters, InvalidRequest, JobTypeNotFound

from .auth import caller
from .body import json_object, model_of, no_body
from .headers import idempotency_key
from .options import JsonOptions, json_properties, submission_of
from .ownership import visible_group
from .query import Nothing, query
from .rate_limit import admission, admit
from .services import services
from .submissions import POLL_AFTER_SECONDS, request_digest

blueprint = Blueprint("batches", __name__, url_prefix="/api/v1/batches")

KIND = "batch"
MAX_JOBS = 1_000
MAX_FAULTS = 100

JobTypeName = Annotated[str, Field(min_length=1, max_length=100)]


class Entry(JsonOptions):
    """One job of a batch, with the options of a submission."""

    job_type: JobTypeName
    params: dict[str, Any] = Field(default_factory=dict)


def entry_schema() -> dict[str, Any]:
    """Describe one entry of a batch as JSON Schema."""
    params = {"type": "object", "description": "The job type's parameters.", "default": {}}
    return {
        "type": "object",
        "properties": {"job_type": {"type": "string"}, "params": params, **json_properties()},
        "required": ["job_type"],
        "additionalProperties": False,
    }


class NewBatch(BaseModel):
    jobs: list[Entry] = Field(min_length=1, max_length=MAX_JOBS)
    webhook_url: PublicUrl | None = None


@blueprint.post("")
def submit() -> Response:
    """All of the jobs are stored, or none."""
    key = idempotency_key()
    sent = json_object()
    new = model_of(NewBatch, sent)
    query(Nothing)
    kinds = valid_types([(f"/jobs/{place}", entry.job_type, entry.params) for place, entry in enumerate(new.jobs)])
    user = caller()
    group = NewGroup(
        KIND,
        user.user_id,
        admin=user.is_admin,
        idempotency_key=key,
        digest=request_digest(sent) if key else None,
        webhook_url=new.webhook_url,
    )
    submissions = [submission_of(kind, each.params, each, user) for kind, each in zip(kinds, new.jobs, strict=True)]
    batch_id, replayed = submit_batch(services().client, group, submissions, admission())
    return stored(_resource(Groups(services().client).find(KIND, batch_id)), f"/api/v1/batches/{batch_id}", replayed)


@blueprint.get("/<batch_id>")
def show(batch_id: str) -> Response:
    group = visible_group(KIND, batch_id)
    query(Nothing)
    admit()
    return current(_resource(group), group)


@blueprint.delete("/<batch_id>")
def cancel(batch_id: str) -> Response:
    group = visible_group(KIND, batch_id)
    no_body()
    query(Nothing)
    admit(group.check_cancel)
    group = Groups(services().client).cancel(KIND, batch_id)
    return cancelled(_resource(group), group)


def stored(resource: dict[str, Any], address: str, replayed: bool) -> Response:
    """202: all of it is stored. Look again in a second."""
    answer = jsonify(resource)
    answer.status_code = 202
    answer.headers["Location"] = address
    answer.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    if replayed:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer


def current(resource: dict[str, Any], group: Group) -> Response:
    answer = jsonify(resource)
    if not group.status.terminal:
        answer.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    return answer


def cancelled(resource: dict[str, Any], group: Group) -> Response:
    """202 while something of it runs, which is being stopped."""
    answer = current(resource, group)
    answer.status_code = 200 if group.status.terminal else 202
    return answer


def valid_types(jobs: list[tuple[str, str, dict[str, Any]]], *, check_params: bool = True) -> list[JobType]:
    """The job types of jobs, each given by its place in the body, its type's name and its parameters.

    Raises:
        InvalidRequest: with a fault for each job type that does not exist and each parameter that does not fit.
    """
    kinds: list[JobType] = []
    faults: list[Fault] = []
    for at, name, params in jobs:
        try:
            kinds.append(services().catalogue.find(name))
            if check_params:
                kinds[-1].parameters.validate(params)
        except JobTypeNotFound as error:
            faults.append(Fault(error.message, error.code, pointer=f"{at}/job_type"))
        except InvalidParameters as error:
            faults += _moved(error.faults, f"{at}/params")
    if faults:
        more = [Fault(f"and {len(faults) - MAX_FAULTS} more errors", "too_many_errors", pointer="")]
        raise InvalidRequest(faults if len(faults) <= MAX_FAULTS else faults[:MAX_FAULTS] + more)
    return kinds


def _moved(faults: list[Fault], place: str) -> Iterator[Fault]:
    for fault in faults:
        yield Fault(fault.message, fault.code, pointer=place + (fault.pointer or ""))


def _resource(group: Group) -> dict[str, Any]:
    return {
        "batch_id": group.group_id,
        "status": str(group.status),
        "progress": group.progress,
        "counts": group.counts,
        "job_ids": group.job_ids,
    }
