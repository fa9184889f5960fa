"""The page that a browser sees first: what can be run, and what the caller ran lately."""

from __future__ import annotations

from flask import Blueprint, render_template
from werkzeug.wrappers import Response

from .auth import caller
from .services import services

blueprint = Blueprint("home", __name__)

LATEST_JOBS = 20


@blueprint.get("/")
def show() -> Response:
    latest = services().client.page(caller().user_id, limit=LATEST_JOBS)
    page = render_template("home.html", user=caller(), job_types=list(services().catalogue.values()), jobs=latest.jobs)
    answer = Response(page, content_type="text/html; charset=utf-8")
    answer.headers["Referrer-Policy"] = "same-origin"  # else browsers send 'Origin: null' with the sign-out form
    return answer
