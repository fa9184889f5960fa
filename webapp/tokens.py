"""Exchange a username and password for a short-lived token."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.errors import Fault, InvalidRequest, UnsupportedMediaType
from jobs.engine.json_pointer import pointer

from . import body
from .openapi.describing import described
from .openapi.models import body_schema
from .openapi.operation import json_body, returns
from .openapi.schemas import COUNT, TEXT, Later, Schema, returned
from .query import Nothing, query
from .recording import claims_to_be
from .services import services

blueprint = Blueprint("tokens", __name__, url_prefix="/api/v1")

#: Names and passwords are short, and anybody may send them.
MAX_BODY_BYTES = 8_192

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
#: OAuth 2 clients add these fields to a password form (RFC 6749, 4.3.2). They have no effect.
IGNORED = frozenset({"grant_type", "scope"})


class Credentials(BaseModel):
    username: str
    password: Annotated[str, Field(json_schema_extra={"format": "password"})]


def _form() -> Schema:
    credentials = body_schema(Credentials)
    return credentials | {"properties": credentials["properties"] | dict.fromkeys(sorted(IGNORED), TEXT)}


_BODY = json_body(Credentials, example={"username": "alice", "password": "correct horse battery staple"})
_BODY["content"] |= {form: {"schema": Later(_form)} for form in FORMS}


@blueprint.post("/token")
@described(
    "issue-token",
    "Account",
    "Get a short-lived token",
    {
        "200": returns(
            "The token. Send it as `Authorization: Bearer …`.",
            returned({"access_token": TEXT, "token_type": {"const": "bearer"}, "expires_in": COUNT}),
            example={"access_token": "eyJhbGciOiJIUzI1NiJ9…", "token_type": "bearer", "expires_in": 3600},
        )
    },
    body=_BODY,
    refused=(400, 413, 415, 422),
    security=[],
)
def issue() -> Response:
    credentials = _credentials()
    query(Nothing)
    claims_to_be(credentials.username)
    accounts = services().accounts
    user = accounts.sign_in.check_password(credentials.username, credentials.password, address=request.remote_addr)
    token, seconds = accounts.bearers.issue_token(user)
    return jsonify(access_token=token, token_type="bearer", expires_in=seconds)  # noqa: S106 (the kind, not a secret)


def _credentials() -> Credentials:
    if request.mimetype == "application/json":
        return body.model(Credentials, max_bytes=MAX_BODY_BYTES)
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType("Send username and password as a form or as application/json.")
    fields = body.form(MAX_BODY_BYTES)
    faults = [
        *(_fault(name, "field required", "missing") for name in Credentials.model_fields if name not in fields),
        *(_fault(name, "unknown field", "extra_forbidden") for name in fields if not _is_known(name)),
    ]
    if faults:
        raise InvalidRequest(faults)
    return Credentials(username=fields["username"], password=fields["password"])


def _is_known(name: str) -> bool:
    return name in Credentials.model_fields or name in IGNORED


def _fault(name: str, message: str, code: str) -> Fault:
    return Fault(message, code, pointer=pointer((name[:64],)))
