"""Issue tickets for streams, to clients that can't set headers."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.tickets import FIRST_USE_SECONDS

from . import body
from .auth import bearer_token, caller
from .browser_session import session_secret
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .openapi.schemas import COUNT, TEXT, returned
from .ownership import visible_job
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("tickets", __name__, url_prefix="/api/v1")

MAX_BODY_BYTES = 8_192


class NewTicket(BaseModel):
    job_id: Annotated[
        str | None, Field(min_length=1, max_length=64, description="The job whose stream it opens; by default any.")
    ] = None


@blueprint.post("/tickets")
@described(
    "issue-ticket",
    "Live",
    "Get a ticket for a stream",
    {
        "200": returns(
            "The ticket. Use it within `expires_in` seconds.",
            returned({"ticket": TEXT, "expires_in": COUNT}),
            example={"ticket": "0k2vT7rW…", "expires_in": 60},
        )
    },
    description="For clients that can't send a header, such as EventSource and WebSocket in a browser. A ticket is "
    "valid for one stream and its reconnects with `Last-Event-ID`, until the stream is complete or your credential is "
    "revoked.",
    body=json_body(NewTicket, example={}, required=False),
    refused=(400, 403, 404, 413, 415),
)
def issue() -> Response:
    new = NewTicket() if _has_no_body() else body.model(NewTicket, max_bytes=MAX_BODY_BYTES)
    query(Nothing)
    if new.job_id is not None:
        visible_job(new.job_id)
    admit()
    ticket = services().accounts.tickets.issue(
        caller(), bearer=bearer_token(), session=session_secret(), job_id=new.job_id
    )
    return jsonify(ticket=ticket, expires_in=FIRST_USE_SECONDS)


def _has_no_body() -> bool:
    return not request.content_length and "Transfer-Encoding" not in request.headers
