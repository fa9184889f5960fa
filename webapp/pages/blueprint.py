"""The blueprint of all pages, with their headers, error pages and redirects."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from jobs.engine.errors import WorkhorseError
from webapp import problems
from webapp.auth import caller_if_any

from .formats import clock, duration, json_text, size

blueprint = Blueprint("pages", __name__)

_HTML = "text/html; charset=utf-8"


@blueprint.after_request
def _send_origin(answer: Response) -> Response:
    """Allow the Origin header: with 'no-referrer', browsers send 'Origin: null' with our own forms."""
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


@blueprint.context_processor
def _shared() -> dict[str, Any]:
    formats = {"clock": clock, "duration": duration, "json_text": json_text, "size": size}
    return {"user": caller_if_any(), **formats}


@blueprint.errorhandler(WorkhorseError)
def _refused(error: WorkhorseError) -> Response:
    answer = problems.of_error(error)
    if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _error_page(answer, "An internal error occurred. Its details are in the server's log.")
    return _error_page(answer, error.message)


@blueprint.errorhandler(HTTPException)
def _refused_by_werkzeug(error: HTTPException) -> Response:
    answer = error.get_response()
    return answer if answer.status_code < 400 else _error_page(answer, error.description or error.name)


def _error_page(answer: Response, message: str) -> Response:
    text = render_template("error.html", status=answer.status_code, message=message)
    page = Response(text, answer.status_code, content_type=_HTML)
    for name in ("Retry-After", "WWW-Authenticate", "Allow"):
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    return page


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a page, or a part of one."""
    return Response(render_template(template, **values), status, content_type=_HTML)


def is_partial() -> bool:
    """Return True if htmx asks for a part of the page; to go back in history, it asks for the whole page."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def done(sentence: str, place: str) -> Response:
    """Redirect to a page that shows what was done."""
    flash(sentence, "done")
    return redirect(place, 303)


def refused(sentence: str, place: str) -> Response:
    """Redirect to a page that shows why the action was refused."""
    flash(sentence, "refused")
    return redirect(place, 303)
