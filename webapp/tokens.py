"""Exchange a username and password for a short-lived token."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from jobs.engine.errors import Fault, InvalidRequest, UnsupportedMediaType

from . import body
from .query import Nothing, query
from .recording import claims_to_be
from .services import services

blueprint = Blueprint("tokens", __name__, url_prefix="/api/v1")

#: Names and passwords are short, and strangers may send them.
MAX_BODY_BYTES = 8_192

#: What OAuth 2 clients add to a password form (RFC 6749, 4.3.2) without changing what is asked.
IGNORED = frozenset({"grant_type", "scope"})


class Credentials(BaseModel):
    username: str
    password: str


@blueprint.post("/token")
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
    if request.mimetype not in ("application/x-www-form-urlencoded", "multipart/form-data"):
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
    return Fault(message, code, pointer="/" + name[:64].replace("~", "~0").replace("/", "~1"))
