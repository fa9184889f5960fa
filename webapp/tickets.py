"""Take a ticket for a stream, for clients that can't set headers."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.tickets import FIRST_USE_SECONDS

from . import body
from .auth import bearer_token, caller, session_secret
from .ownership import visible_job
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("tickets", __name__, url_prefix="/api/v1")

MAX_BODY_BYTES = 8_192


class Wish(BaseModel):
    job_id: str | None = Field(None, min_length=1, max_length=64)


@blueprint.post("/tickets")
def issue() -> Response:
    wish = Wish() if _has_no_body() else body.model(Wish, max_bytes=MAX_BODY_BYTES)
    query(Nothing)
    if wish.job_id is not None:
        visible_job(wish.job_id)
    admit()
    ticket = services().accounts.tickets.issue(
        caller(), bearer=bearer_token(), session=session_secret(), job_id=wish.job_id
    )
    return jsonify(ticket=ticket, expires_in=FIRST_USE_SECONDS)


def _has_no_body() -> bool:
    return not request.content_length and "Transfer-Encoding" not in request.headers
