"""The schemas of what the API takes and answers, whatever job types there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.engine.author.retry import BACKOFFS
from jobs.engine.client.job import Job
from jobs.engine.states import EventType, Priority, Status

from .resources import components_of

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
SECONDS: Schema = {"type": "number", "minimum": 0}
CURSOR: Schema = {"type": ["string", "null"], "description": "Give it as `cursor` for the next page; null at the end."}
PRIORITY: Schema = {"type": "string", "enum": [str(priority) for priority in Priority]}
STATUS: Schema = {"type": "string", "enum": [str(status) for status in Status]}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    changed = schema | {"type": [schema["type"], "null"]}
    return changed | {"enum": [*schema["enum"], None]} if "enum" in schema else changed


def answered(properties: dict[str, Schema], **more: Any) -> Schema:
    """An object that is answered: every property is there, and later versions may add some."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def taken(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object that is sent: unknown properties are refused."""
    required = [name for name in properties if name not in optional]
    closed: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": required} if required else {})


def listed(plural: str, item: str) -> Schema:
    """A page of a list."""
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}}
    return answered({plural: items, "next_cursor": CURSOR})


EXAMPLE_JOB = Job(
    job_id="6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80",
    job_type="batch-predict",
    user_id="alice",
    status=Status.RUNNING,
    pending_reason=None,
    priority="default",
    queue_position=None,
    tags=["nightly"],
    progress=40.0,
    progress_message="Predicting",
    progress_current=4,
    progress_total=10,
    eta_seconds=1.2,
    attempt=1,
    max_attempts=4,
    resumed=0,
    created_at=datetime(2030, 1, 31, 12, 0, 0, tzinfo=UTC),
    scheduled_at=None,
    started_at=datetime(2030, 1, 31, 12, 0, 1, tzinfo=UTC),
    completed_at=None,
    expires_at=None,
    params={"texts": ["It works."]},
    result=None,
    error=None,
    error_type=None,
    version=7,
    trace=None,
)
JOB_EXAMPLE = EXAMPLE_JOB.as_dict()

RETRY = answered(
    {
        "max_retries": COUNT,
        "backoff": {"type": "string", "enum": list(BACKOFFS)},
        "delay": SECONDS,
        "max_delay": SECONDS,
        "jitter": {"type": "boolean"},
        "on": {"type": "array", "items": TEXT, "description": "Errors that are tried again."},
        "never": {"type": "array", "items": TEXT, "description": "Errors that are not."},
    },
    description="When a failed attempt is tried again; times in seconds.",
)

JOB_TYPE = answered(
    {
        "name": TEXT,
        "summary": TEXT,
        "description": TEXT,
        "params_schema": {"type": "object", "description": "JSON Schema 2020-12 of the body to submit."},
        "result_schema": {"type": "object", "description": "JSON Schema 2020-12 of the result."},
        "priority": PRIORITY,
        "timeout": {"type": "integer", "minimum": 1, "description": "Seconds that one attempt may take."},
        "stall_timeout": nullable(SECONDS) | {"description": "Seconds without progress that fail an attempt."},
        "retry": {"anyOf": [{"$ref": "#/components/schemas/RetryPolicy"}, {"type": "null"}]},
        "max_attempts": {"type": "integer", "minimum": 1},
        "max_running": nullable(COUNT) | {"description": "Jobs of this type that run at once; null: no limit."},
        "result_ttl": nullable(COUNT) | {"description": "Seconds that a result is kept; null: the server's default."},
    }
)

EVENT = answered(
    {
        "version": COUNT,
        "at": TIME,
        "type": {"type": "string", "enum": [str(kind) for kind in EventType]},
    },
    description="One entry of a job's history. Further properties depend on the type.",
)

LOG_LINE = answered({"at": TIME, "attempt": COUNT, "level": TEXT, "message": TEXT})

USER = {
    "user_id": TEXT,
    "username": TEXT,
    "email": TEXT,
    "roles": {"type": "array", "items": TEXT},
    "created_at": TIME,
}

API_KEY = {"id": TEXT, "name": TEXT, "created_at": TIME}

FAULT: Schema = {
    "type": "object",
    "properties": {
        "pointer": TEXT | {"description": "A JSON Pointer (RFC 6901) into the body."},
        "parameter": TEXT | {"description": "The name of a query parameter or header."},
        "message": TEXT,
        "code": TEXT,
    },
    "required": ["message", "code"],
    "oneOf": [{"required": ["pointer"]}, {"required": ["parameter"]}],
}

PROBLEM = answered(
    {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "instance": {"type": "string", "format": "uri-reference"},
        "code": TEXT | {"description": "A stable word that a client may branch on."},
    },
    description="An error, as RFC 9457 has it.",
)

INVALID_PROBLEM: Schema = {
    "allOf": [
        {"$ref": "#/components/schemas/Problem"},
        answered({"errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}}}),
    ]
}

_RESOURCES = components_of(Job)
_RESOURCES["Job"]["examples"] = [JOB_EXAMPLE]

SCHEMAS: dict[str, Schema] = {
    **_RESOURCES,
    "JobPage": listed("jobs", "Job"),
    "JobType": JOB_TYPE,
    "JobTypePage": listed("job_types", "JobType"),
    "RetryPolicy": RETRY,
    "Event": EVENT,
    "LogLine": LOG_LINE,
    "User": answered(USER),
    "ApiKey": answered(API_KEY),
    "ApiKeyPage": listed("api_keys", "ApiKey"),
    "NewApiKey": answered(API_KEY | {"key": TEXT | {"description": "The key itself, shown this once."}}),
    "Fault": FAULT,
    "Problem": PROBLEM,
    "InvalidProblem": INVALID_PROBLEM,
}
