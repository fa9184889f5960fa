"""The OpenAPI 3.1 document of the whole HTTP API, made once for each app from its routes and its job types."""

from __future__ import annotations

from flask import Flask

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.settings import Settings

from .components import components
from .describing import Server, paths_of
from .job_type_components import job_type_components
from .refusals import REFUSALS
from .schemas import Schema

DESCRIPTION = """\
Background jobs over HTTP. `POST /api/v1/jobs/{job_type}` returns 202 with a job resource. Request its `poll_url` until
`status` is completed, failed or cancelled.

Every time is RFC 3339 in UTC. Unknown fields and query parameters are refused (422). Every error is a problem
document (RFC 9457) with a stable `code`. Refusals come in the order 401, 404 or 403, 405, 413 · 415 · 400, 422,
409, 429, 503. A method that an address does not accept gets 405 with `Allow`.
"""

TAGS = [
    {"name": "Submitting", "description": "One call for each job type. The body holds the function's arguments."},
    {"name": "Jobs", "description": "Follow, list, cancel and retry jobs."},
    {"name": "Many at once", "description": "Batches, pipelines and schedules."},
    {"name": "Live", "description": "Receive every change as it happens."},
    {"name": "Job types", "description": "The functions that can be run as jobs."},
    {"name": "Files", "description": "The files that jobs read and produce. They expire."},
    {"name": "Calls", "description": "Immediate results, without a job."},
    {"name": "Webhooks", "description": "Receive events over HTTP, signed as in Standard Webhooks."},
    {"name": "Account", "description": "Users, tokens and API keys."},
    {"name": "Operations", "description": "Health, metrics, the audit log and this document."},
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
        "description": "A browser's session, from the sign-in page. Requests that change something must send the "
        "session's token in `X-CSRF-Token`.",
    },
}


def openapi_document(app: Flask, catalogue: Catalogue, settings: Settings) -> Schema:
    """Describe every described route of `app`, with one submitting call for each job type of `catalogue`."""
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
        "paths": paths_of(app, Server(catalogue, settings)),
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "responses": REFUSALS,
            "schemas": components() | job_type_components(catalogue),
        },
    }
