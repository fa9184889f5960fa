"""Run a function in the request itself, without a job: predict one text, and search what the caller has indexed."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.client.inline_calls import call, submit_behind

from .auth import caller
from .body import json_object
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .openapi.schemas import COUNT, TEXT, returned, sent
from .query import WHOLE_NUMBER, Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("calls", __name__, url_prefix="/api/v1")


class Search(BaseModel):
    q: Annotated[str, Field(min_length=1, max_length=1_000, description="The words to search for.")]
    limit: Annotated[int, Field(ge=1, le=100, description="Documents to return."), WHOLE_NUMBER] = 10


_PREDICT = sent(
    {
        "text": TEXT | {"maxLength": 10_000},
        "model_id": {
            "type": ["string", "null"],
            "pattern": "^[A-Za-z0-9_-]{1,64}$",
            "description": "A model of `train-model`.",
        },
    },
    optional=("model_id",),
)
_PREDICTION = returned(
    {"model_id": TEXT, "label": TEXT, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
    description="The most likely label, and its probability in the model.",
)
_FOUND = returned({"id": TEXT, "title": TEXT, "snippet": TEXT, "score": {"type": "number"}})
_RESULTS = returned({"total": COUNT, "results": {"type": "array", "items": _FOUND}})


@blueprint.post("/predict")
@described(
    "predict",
    "Calls",
    "Predict the label of one text",
    {"200": returns("The prediction. It is logged after the response.", _PREDICTION)},
    body=json_body(_PREDICT, example={"text": "Great!"}),
    refused=(400, 404, 413, 415),
)
def predict() -> Response:
    """Jobs write down the prediction after the response."""
    job_type = services().catalogue.find("predict")
    params = json_object()
    query(Nothing)
    job_type.parameters.validate(params)
    admit()
    result: dict[str, Any] = call(job_type, params, caller().user_id)
    logged = {"text": params["text"], **{name: result[name] for name in ("label", "confidence", "model_id")}}
    side_jobs = {"log-prediction": logged, "update-user-stats": {"kind": "predict"}}
    submit_behind(services().client, caller().user_id, side_jobs)
    return jsonify(result)


@blueprint.get("/search")
@described(
    "search",
    "Calls",
    "Search my index",
    {"200": returns("The best documents that contain all of the words.", _RESULTS)},
    description="Searches what `update-search-index` has added to your index. The last word may be a prefix.",
    query=Search,
    refused=(404,),
)
def search() -> Response:
    job_type = services().catalogue.find("search")
    wanted = query(Search)
    admit()
    return jsonify(call(job_type, wanted.model_dump(), caller().user_id))
