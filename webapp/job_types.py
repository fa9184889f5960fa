"""What can be submitted: the job types of the catalogue."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("job_types", __name__, url_prefix="/api/v1/job-types")


@blueprint.get("")
def page() -> Response:
    query(Nothing)
    admit()
    return jsonify(job_types=[each.as_dict() for each in services().catalogue.values()], next_cursor=None)


@blueprint.get("/<job_type>")
def show(job_type: str) -> Response:
    kind = services().catalogue.find(job_type)
    query(Nothing)
    admit()
    return jsonify(kind.as_dict())
