"""The refusals: for every error status its meaning, and an example of its problem document (RFC 9457)."""

from __future__ import annotations

from .components import component
from .schemas import TEXT, Schema, returned

_URI: Schema = {"type": "string", "format": "uri-reference"}

_FAULT = component(
    "Fault",
    {
        "type": "object",
        "properties": {
            "pointer": TEXT | {"description": "A JSON Pointer (RFC 6901) into the body."},
            "parameter": TEXT | {"description": "The name of a query parameter or header."},
            "message": TEXT,
            "code": TEXT,
        },
        "required": ["message", "code"],
        "oneOf": [{"required": ["pointer"]}, {"required": ["parameter"]}],
    },
)

_PROBLEM = component(
    "Problem",
    returned(
        {
            "type": _URI,
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "instance": _URI,
            "code": TEXT | {"description": "A stable word that clients may branch on."},
        },
        description="An error (RFC 9457).",
    ),
)

component(
    "InvalidProblem",
    {"allOf": [_PROBLEM, returned({"errors": {"type": "array", "items": _FAULT}})]},
)

WWW_AUTHENTICATE = {"description": "How to authenticate.", "schema": {"type": "string", "const": "Bearer"}}
RETRY_AFTER = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1}}

#: status: component's name, when it is sent, code and detail of the example.
REASONS: dict[int, tuple[str, str, str, str]] = {
    400: (
        "BadRequest",
        "The body is not JSON, or a header is malformed.",
        "malformed_request",
        "The body is not JSON: Expecting value: line 1 column 1 (char 0).",
    ),
    401: (
        "Unauthenticated",
        "The credentials are missing or not valid.",
        "unauthenticated",
        "Send an API key or a token as 'Authorization: Bearer …'.",
    ),
    403: (
        "Forbidden",
        "It belongs to another user, or the caller lacks the role.",
        "forbidden",
        "This belongs to another user, or needs a role that you do not have.",
    ),
    404: ("NotFound", "It does not exist.", "job_not_found", "The job does not exist; it may have expired."),
    409: (
        "Conflict",
        "It can't be done in the current state.",
        "job_ended",
        "The job has already ended.",
    ),
    413: ("TooLarge", "The body is too large.", "payload_too_large", "The body is too large."),
    415: (
        "UnsupportedMediaType",
        "The body has the wrong content type.",
        "unsupported_media_type",
        "Send the body as application/json.",
    ),
    416: (
        "RangeNotSatisfiable",
        "The range is outside of the file; `Content-Range` has the size of the file.",
        "range_not_satisfiable",
        "The file has 100 bytes; the range is outside of them.",
    ),
    422: (
        "Invalid",
        "The request is well-formed but not valid, and `errors` says where; or an Idempotency-Key was reused.",
        "invalid_parameters",
        "/texts/3: Input should be a valid string",
    ),
    429: (
        "TooMany",
        "The caller has reached the rate limit or the limit of unfinished jobs.",
        "rate_limited",
        "You have sent too many requests; try again in 3 s.",
    ),
    500: ("Failed", "Any other refusal, or an internal error.", "internal_error", "An internal error occurred."),
    503: (
        "Unavailable",
        "The broker can't be reached or can't store anything, or no stream slot is free.",
        "broker_unavailable",
        "The broker can't be reached; try again shortly.",
    ),
}

CONTENT_RANGE = {"description": "The size of the file.", "schema": {"type": "string"}}

HEADERS: dict[int, Schema] = {
    401: {"WWW-Authenticate": WWW_AUTHENTICATE},
    416: {"Content-Range": CONTENT_RANGE},
    429: {"Retry-After": RETRY_AFTER},
    503: {"Retry-After": RETRY_AFTER},
}

FAULTS = [{"pointer": "/texts/3", "message": "Input should be a valid string", "code": "string_type"}]


def refusal(status: int) -> dict[str, str]:
    """Return a reference to the response of a status."""
    return {"$ref": f"#/components/responses/{REASONS[status][0]}"}


def _response(status: int) -> Schema:
    _, description, code, detail = REASONS[status]
    problem = {
        "type": f"urn:workhorse:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": "/api/v1/jobs/batch-predict",
        "code": code,
    }
    schema, example = ("InvalidProblem", problem | {"errors": FAULTS}) if status == 422 else ("Problem", problem)
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": description, **headers, "content": {"application/problem+json": content}}


REFUSALS = {REASONS[status][0]: _response(status) for status in REASONS}
