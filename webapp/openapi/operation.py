"""The parts that the description of a route is put together from."""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel

from .models import body_schema
from .refusals import refusal
from .schemas import Later, Schema

#: Every call with credentials may be refused for these reasons; 422 is for unknown query parameters.
ALWAYS = (401, 422, 429, 503)


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    responses: dict[str, Schema],
    *,
    description: str = "",
    parameters: tuple[Schema, ...] = (),
    body: Schema | None = None,
    refused: tuple[int, ...] = (),
    always: tuple[int, ...] = ALWAYS,
    security: list[dict[str, list[str]]] | None = None,
) -> Schema:
    """Describe one call. It may be refused with the statuses in `refused` and `always`."""
    statuses = sorted({*refused, *always})
    optional = {"description": description, "parameters": list(parameters), "requestBody": body}
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        **{name: value for name, value in optional.items() if value},
        **({} if security is None else {"security": security}),
        "responses": responses | {str(status): refusal(status) for status in statuses} | {"default": refusal(500)},
    }


def returns(description: str, schema: Schema, *, example: Any = None, headers: Schema | None = None) -> Schema:
    """Describe a response in JSON."""
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    described: Schema = {"description": description, "content": {"application/json": content}}
    return described | ({"headers": headers} if headers else {})


def empty_response(description: str) -> Schema:
    """Describe a response without a body."""
    return {"description": description}


def json_body(
    schema: Schema | Later | type[BaseModel], *, example: Any = None, required: bool = True
) -> dict[str, Any]:
    """Describe a request body in JSON by its schema, or by the model that reads it."""
    content: dict[str, Any] = {"schema": Later(partial(body_schema, schema)) if isinstance(schema, type) else schema}
    if example is not None:
        content["example"] = example
    return {"required": required, "content": {"application/json": content}}


def request_header(name: str, schema: Schema, description: str) -> Schema:
    """Describe a header of a request. All are optional."""
    return {"name": name, "in": "header", "schema": schema, "description": description}


def response_header(description: str, schema: Schema) -> Schema:
    """Describe a header of a response."""
    return {"description": description, "schema": schema}


RETRY_AFTER = response_header("Seconds to wait before the next request.", {"type": "integer", "minimum": 1})
LOCATION = response_header("The address of the new resource.", {"type": "string", "format": "uri-reference"})
