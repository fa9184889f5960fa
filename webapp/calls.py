"""Calls that answer at once, without a job: predict one text, and search what the caller has indexed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.client.inline_calls import call, submit_behind

from .auth import caller
from .body import json_object
from .query import Nothing, Whole, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("calls", __name__, url_prefix="/api/v1")


class Search(BaseModel):
    q: str = Field(min_length=1, max_length=1_000)
    limit: Whole = Field(10, ge=1, le=100)


@blueprint.post("/predict")
def predict() -> Response:
    """What is to be written down about it is done behind the answer, as jobs."""
    job_type = services().catalogue.find("predict")
    params = json_object()
    query(Nothing)
    job_type.parameters.validate(params)
    admit()
    answer: dict[str, Any] = call(job_type, params, caller().user_id)
    logged = {"text": params["text"], **{name: answer[name] for name in ("label", "confidence", "model_id")}}
    side_jobs = {"log-prediction": logged, "update-user-stats": {"kind": "predict"}}
    submit_behind(services().client, caller().user_id, side_jobs)
    return jsonify(answer)


@blueprint.get("/search")
def search() -> Response:
    job_type = services().catalogue.find("search")
    wanted = query(Search)
    admit()
    return jsonify(call(job_type, wanted.model_dump(), caller().user_id))
