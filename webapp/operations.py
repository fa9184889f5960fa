"""What operators and tools ask: does it live, is it ready, what can it do."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template

from .openapi import openapi_document
from .query import Nothing, query
from .rate_limit import admit
from .security_headers import allow_on_this_page
from .services import services

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
def health() -> Response:
    """The process lives. The broker is not asked: a process isn't restarted because its broker is away."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readiness() -> Response:
    """The broker answers."""
    services().client.ping()
    return jsonify(status="ready")


@blueprint.get("/openapi.json")
def openapi() -> Response:
    query(Nothing)
    admit()
    return jsonify(_document())


@blueprint.get("/docs")
def docs() -> Response:
    """Swagger UI writes its styles and icons into the page: they are allowed here alone."""
    admit()
    answer = Response(render_template("docs.html"), content_type="text/html; charset=utf-8")
    return allow_on_this_page(answer, style_src="'unsafe-inline'", img_src="data:")


def _document() -> dict[str, Any]:
    """The catalogue doesn't change while the process lives: one document for each app."""
    kept: dict[str, Any] = current_app.extensions.setdefault("workhorse_openapi", {})
    if not kept:
        kept.update(openapi_document(services().catalogue, services().settings))
    return kept
