"""Health, and this document itself: the paths at the root."""

from __future__ import annotations

from typing import Any

from .operation import answer, operation
from .schemas import TEXT, answered

STATE = answered({"status": TEXT})


def operation_paths() -> dict[str, Any]:
    """The paths outside of /api/v1."""
    return {
        "/healthz": {"get": _healthz()},
        "/readyz": {"get": _readyz()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": {"get": _openapi()},
        "/docs": {"get": _docs()},
    }


def _healthz() -> dict[str, Any]:
    alive = answer("The process lives.", STATE, example={"status": "ok"})
    return operation("healthz", "Operations", "Is the process alive", {"200": alive}, always=(), security=[])


def _readyz() -> dict[str, Any]:
    ready = answer("The broker answers.", STATE, example={"status": "ready"})
    return operation("readyz", "Operations", "Can it take work", {"200": ready}, always=(503,), security=[])


def _metrics() -> dict[str, Any]:
    text = {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": TEXT}}}
    about = "For administrators. It tells of all web processes, whichever answers; the broker is asked at the scrape."
    return operation("metrics", "Operations", "Get figures", {"200": text}, description=about, refused=(403,))


def _openapi() -> dict[str, Any]:
    document = answer("OpenAPI 3.1.", {"type": "object"})
    return operation("openapi", "Operations", "Get this document", {"200": document})


def _docs() -> dict[str, Any]:
    page = {"description": "A page to read it on.", "content": {"text/html": {"schema": TEXT}}}
    return operation("docs", "Operations", "Read this document", {"200": page}, always=(401, 429, 503))
