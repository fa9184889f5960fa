"""Calls that answer at once: predict and search."""

from __future__ import annotations

from typing import Any

from .operation import answer, json_body, operation, query
from .schemas import COUNT, TEXT, answered, taken

PREDICTION = answered(
    {"model_id": TEXT, "label": TEXT, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
    description="The likeliest label, and how likely it is by the model.",
)
FOUND = answered({"id": TEXT, "title": TEXT, "snippet": TEXT, "score": {"type": "number"}})
RESULTS = answered({"total": COUNT, "results": {"type": "array", "items": FOUND}})


def call_paths() -> dict[str, Any]:
    """The paths of calls."""
    return {"/predict": {"post": _predict()}, "/search": {"get": _search()}}


def _predict() -> dict[str, Any]:
    text = TEXT | {"maxLength": 10_000}
    model_id = {"type": ["string", "null"], "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "Of `train-model`."}
    return operation(
        "predict",
        "Calls",
        "Predict a label for one text",
        {"200": answer("At once. It is logged behind the answer.", PREDICTION)},
        body=json_body(taken({"text": text, "model_id": model_id}, optional=("model_id",)), example={"text": "Great!"}),
        refused=(400, 404, 413, 415),
    )


def _search() -> dict[str, Any]:
    return operation(
        "search",
        "Calls",
        "Search what you have indexed",
        {"200": answer("The best documents that have all the words.", RESULTS)},
        description="What `update-search-index` has put into your index. The last word may be the beginning of one.",
        parameters=(
            query("q", TEXT | {"minLength": 1, "maxLength": 1_000}, "The words; required."),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}, "Documents to answer."),
        ),
        refused=(404,),
    )
