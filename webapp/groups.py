"""Show and cancel batches and pipelines: what both have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from flask import Response, jsonify
from pydantic import Field

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.groups import Group, Groups
from jobs.engine.errors import Fault, InvalidParameters, InvalidRequest, JobTypeNotFound, listed
from jobs.engine.public_fields import public_fields

from .body import no_body
from .openapi.operation import LOCATION, RETRY_AFTER, response_header, returns
from .openapi.schemas import Schema
from .openapi.shared_headers import REPLAYED
from .ownership import visible_group
from .query import Nothing, query
from .rate_limit import admit
from .services import services
from .submissions import POLL_AFTER_SECONDS

JobTypeName = Annotated[str, Field(min_length=1, max_length=100)]
Params = Annotated[dict[str, Any], Field(description="The parameters of the job.", json_schema_extra={"default": {}})]

#: A dataclass made from a group, whose fields are the resource.
Resource = Callable[[Group], object]

STORED_HEADERS = {"Location": LOCATION, "Retry-After": RETRY_AFTER, "Idempotency-Replayed": REPLAYED}
_UNFINISHED_HEADERS = {"Retry-After": response_header("Until it has ended.", {"type": "integer", "minimum": 1})}


def shown_as(kind: str, schema: Schema) -> dict[str, Schema]:
    """Describe the responses of the view that shows a group."""
    return {"200": returns(f"The {kind}.", schema, headers=_UNFINISHED_HEADERS)}


def cancelled_as(schema: Schema) -> dict[str, Schema]:
    """Describe the responses of the view that cancels a group."""
    return {
        "200": returns("All of its jobs have ended.", schema),
        "202": returns("Jobs were running. They stop within 5 s.", schema, headers=_UNFINISHED_HEADERS),
    }


def show_group(kind: str, group_id: str, resource: Resource) -> Response:
    """Return a batch or pipeline, with `Retry-After` until it has ended."""
    group = visible_group(kind, group_id)
    query(Nothing)
    admit()
    return _current(group, resource)


def cancel_group(kind: str, group_id: str, resource: Resource) -> Response:
    """Cancel the unfinished jobs of a batch or pipeline. The status is 202 until those that ran have stopped."""
    group = visible_group(kind, group_id)
    no_body()
    query(Nothing)
    admit(group.check_cancel)
    group = Groups(services().client).cancel(kind, group_id)
    response = _current(group, resource)
    response.status_code = 200 if group.status.terminal else 202
    return response


def stored_group(kind: str, group_id: str, resource: Resource, address: str, *, replayed: bool) -> Response:
    """Return a batch or pipeline that was stored now or, if it was replayed, by an earlier request."""
    group = Groups(services().client).find(kind, group_id)
    response = jsonify(public_fields(resource(group)))
    response.status_code = 202
    response.headers["Location"] = address
    response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def valid_types(jobs: list[tuple[str, str, dict[str, Any]]], *, check_params: bool = True) -> list[JobType]:
    """Return the job types of jobs, each given by its place in the body, the name of its type and its parameters.

    Raises:
        InvalidRequest: with a fault for each unknown job type and each parameter that is not valid.
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
        raise InvalidRequest(listed(faults, len(faults)))
    return kinds


def _current(group: Group, resource: Resource) -> Response:
    response = jsonify(public_fields(resource(group)))
    if not group.status.terminal:
        response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    return response


def _moved(faults: list[Fault], place: str) -> Iterator[Fault]:
    for fault in faults:
        yield Fault(fault.message, fault.code, pointer=place + (fault.pointer or ""))
