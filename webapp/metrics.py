"""Serve the current counts of the broker at `/metrics`, in Prometheus' text format, for administrators."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from jobs.engine.operate.metrics import Request

from .auth import require_admin
from .current import current_request
from .openapi.describing import described
from .openapi.schemas import TEXT
from .query import Nothing, query
from .rate_limit import admit
from .services import services
from .stopwatch import elapsed_seconds

blueprint = Blueprint("metrics", __name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: All other methods share one label.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: The files of our pages.
_UNCOUNTED = frozenset({"static"})


def install(app: Flask) -> None:
    """Count every request of `app`, even unauthenticated ones."""
    app.after_request(_count)


@blueprint.get("/metrics")
@described(
    "metrics",
    "Operations",
    "Get metrics",
    {"200": {"description": "In Prometheus' text format.", "content": {"text/plain": {"schema": TEXT}}}},
    description="For administrators. Every web process returns the figures of all of them, read from the broker at "
    "each request.",
    refused=(403,),
)
def scrape() -> Response:
    require_admin()
    query(Nothing)
    admit()
    # A process that is never asked for metrics starts sooner without the library.
    from .metric_families import text_of

    return Response(text_of(services().metrics.read()), content_type=CONTENT_TYPE)


def _count(response: Response) -> Response:
    received = current_request()
    if received.endpoint not in _UNCOUNTED:
        method = received.method if received.method in METHODS else "OTHER"
        route = received.url_rule.rule if received.url_rule else "(none)"
        services().metrics.note(Request(method, route, response.status_code, elapsed_seconds()))
    return response
