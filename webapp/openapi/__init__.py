"""The OpenAPI 3.1 document of the whole HTTP API, made from the catalogue once at start-up."""

from __future__ import annotations

from typing import Any

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.settings import Settings

from .account_paths import account_paths
from .audit_paths import AUDIT_SCHEMAS, audit_paths
from .call_paths import call_paths
from .file_paths import FILE, file_paths
from .group_paths import GROUP_SCHEMAS, group_paths
from .job_paths import job_paths
from .job_type_components import job_type_components
from .operation_paths import operation_paths
from .refusals import REFUSALS
from .schemas import SCHEMAS
from .stream_paths import stream_paths
from .submit_paths import submit_paths
from .webhook_paths import WEBHOOK_SCHEMAS, webhook_paths

API = "/api/v1"

DESCRIPTION = """\
Background jobs over HTTP. `POST /api/v1/jobs/{job_type}` answers 202 with a job resource; follow its `poll_url`
until `status` is completed, failed or cancelled.

Every time is RFC 3339 in UTC. Unknown fields and query parameters are refused (422). Every error is a problem
document (RFC 9457) with a stable `code`; refusals come in the order 401, 404 or 403, 405, 413 · 415 · 400, 422,
409, 429, 503. A path that doesn't answer a method says 405 with `Allow`.
"""

TAGS = [
    {"name": "Submitting", "description": "One call for each job type; the body is the function's arguments."},
    {"name": "Jobs", "description": "Follow, list, cancel and retry jobs."},
    {"name": "Many at once", "description": "Batches, pipelines and schedules."},
    {"name": "Live", "description": "Be told of every change, as it happens."},
    {"name": "Job types", "description": "What can be run."},
    {"name": "Files", "description": "What jobs read and produce, kept for a while."},
    {"name": "Calls", "description": "Answers at once, without a job."},
    {"name": "Webhooks", "description": "Be told of events over HTTP, signed as Standard Webhooks has it."},
    {"name": "Account", "description": "Users, tokens and API keys."},
    {"name": "Operations", "description": "Is it alive, and how to use it."},
]

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`wh_…`) from `POST /api/v1/api-keys`, or a token from `POST /api/v1/token`.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "workhorse_session",
        "description": "A browser's session, from the sign-in page. Requests that change "
        "something need its token in `X-CSRF-Token`.",
    },
}


def openapi_document(catalogue: Catalogue, settings: Settings) -> dict[str, Any]:
    """Describe every route, with one submitting call for each job type of `catalogue`."""
    under_api = (
        webhook_paths()
        | call_paths()
        | audit_paths()
        | account_paths(settings)
        | file_paths()
        | group_paths()
        | job_paths()
        | stream_paths()
        | submit_paths(catalogue, settings)
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Workhorse",
            "version": "1.0.0",
            "summary": "Background jobs over HTTP for plain Python functions.",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": TAGS,
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": {f"{API}{path}": item for path, item in under_api.items()} | operation_paths(),
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "responses": REFUSALS,
            "schemas": SCHEMAS
            | WEBHOOK_SCHEMAS
            | AUDIT_SCHEMAS
            | GROUP_SCHEMAS
            | {"File": FILE}
            | job_type_components(catalogue),
        },
    }
