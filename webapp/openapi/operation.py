"""The parts that every described call is put together from."""

from __future__ import annotations

from typing import Any

from .refusals import refusal

Schema = dict[str, Any]

#: Every call with credentials may be refused for these reasons; 422 is for unknown query parameters.
ALWAYS = (401, 422, 429, 503)


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    answers: dict[str, dict[str, Any]],
    *,
    description: str = "",
    parameters: tuple[dict[str, Any], ...] = (),
    body: dict[str, Any] | None = None,
    refused: tuple[int, ...] = (),
    always: tuple[int, ...] = ALWAYS,
    security: list[dict[str, list[str]]] | None = None,
) -> dict[str, Any]:
    """Describe one call. `refused` are the statuses of its own refusals, `always` of those before it."""
    statuses = sorted({*refused, *always})
    optional = {"description": description, "parameters": list(parameters), "requestBody": body}
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        **{name: value for name, value in optional.items() if value},
        **({} if security is None else {"security": security}),
        "responses": answers | {str(status): refusal(status) for status in statuses} | {"default": refusal(500)},
    }


def answer(description: str, schema: Schema, *, example: Any = None, headers: dict[str, Any] | None = None) -> Schema:
    """An answer in JSON."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    described: dict[str, Any] = {"description": description, "content": {"application/json": content}}
    return described | ({"headers": headers} if headers else {})


def json_body(schema: Schema, *, example: Any = None, required: bool = True) -> dict[str, Any]:
    """A request body in JSON."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": required, "content": {"application/json": content}}


def query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    """A query parameter; all of them are optional. One that is a list is repeated."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def header(name: str, schema: Schema, description: str) -> dict[str, Any]:
    """A request header; all of them are optional."""
    return {"name": name, "in": "header", "schema": schema, "description": description}


def in_path(name: str, description: str) -> dict[str, Any]:
    """The part of the path that is written `{name}`."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": description}


def sent_header(description: str, schema: Schema) -> dict[str, Any]:
    """A header of an answer."""
    return {"description": description, "schema": schema}


def ref(name: str) -> Schema:
    """A schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


RETRY_AFTER = sent_header("Seconds to wait before asking again.", {"type": "integer", "minimum": 1})
LOCATION = sent_header("The job's address.", {"type": "string", "format": "uri-reference"})
