"""Serve operators and tools: liveness, readiness, and the description of the API."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, render_template

from .openapi import openapi_document
from .openapi.describing import described
from .openapi.operation import returns
from .openapi.schemas import TEXT, Schema, returned
from .query import Nothing, query
from .rate_limit import admit
from .security_headers import allow_on_this_page
from .services import services

blueprint = Blueprint("operations", __name__)

_STATE = returned({"status": TEXT})


@blueprint.get("/healthz")
@described(
    "healthz",
    "Operations",
    "Check that the process is alive",
    {"200": returns("The process is alive.", _STATE, example={"status": "ok"})},
    always=(),
    security=[],
)
def health() -> Response:
    """Do not ask the broker: a process must not be restarted because its broker is away."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@described(
    "readyz",
    "Operations",
    "Check that the server can accept work",
    {"200": returns("The broker can be reached.", _STATE, example={"status": "ready"})},
    always=(503,),
    security=[],
)
def readiness() -> Response:
    services().client.ping()
    return jsonify(status="ready")


@blueprint.get("/openapi.json")
@described("openapi", "Operations", "Get this document", {"200": returns("OpenAPI 3.1.", {"type": "object"})})
def openapi() -> Response:
    query(Nothing)
    admit()
    return jsonify(_document())


@blueprint.get("/docs")
@described(
    "docs",
    "Operations",
    "Read this document",
    {"200": {"description": "A page that shows it.", "content": {"text/html": {"schema": TEXT}}}},
    always=(401, 429, 503),
)
def docs() -> Response:
    """Allow Swagger UI, on this page alone, to write its styles and icons into the page."""
    admit()
    response = Response(render_template("docs.html"), content_type="text/html; charset=utf-8")
    return allow_on_this_page(response, style_src="'unsafe-inline'", img_src="data:")


def _document() -> Schema:
    """Return the document, made once for each app: neither its routes nor the catalogue change."""
    kept: Schema = current_app.extensions.setdefault("workhorse_openapi", {})
    if not kept:
        kept.update(openapi_document(current_app, services().catalogue, services().settings))
    return kept
