"""Create, list and revoke one's own API keys."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import AfterValidator, BaseModel, Field

from jobs.engine.accounts.api_keys import ApiKey
from jobs.engine.public_fields import public_fields

from . import body
from .auth import caller
from .openapi.components import component, page_of, resource
from .openapi.describing import described
from .openapi.operation import empty_response, json_body, returns
from .openapi.schemas import TEXT, returned
from .query import Nothing, query
from .rate_limit import admit
from .recording import creates
from .services import services

blueprint = Blueprint("api_keys", __name__, url_prefix="/api/v1/api-keys")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains characters that are not printable")
    return text


class NewKey(BaseModel):
    name: Annotated[str, Field(max_length=100), AfterValidator(_printable)] = ""


_KEY = resource(ApiKey)
_NEW_KEY = component(
    "NewApiKey",
    {"allOf": [_KEY, returned({"key": TEXT | {"description": "The key itself. It is shown only once."}})]},
)


@blueprint.post("")
@described(
    "create-api-key",
    "Account",
    "Create an API key",
    {"201": returns("The key. It is shown only once.", _NEW_KEY)},
    body=json_body(NewKey, example={"name": "laptop"}, required=False),
    refused=(400, 409, 413, 415),
)
def create() -> tuple[Response, int]:
    new = body.model(NewKey) if _has_body() else NewKey()
    query(Nothing)
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_create_key, user_id))
    key, secret = accounts.create_key(user_id, new.name)
    creates(key.id)
    return jsonify(public_fields(key) | {"key": secret}), 201


@blueprint.get("")
@described(
    "list-api-keys",
    "Account",
    "List my API keys",
    {"200": returns("All keys, without their secrets.", page_of("ApiKeyPage", "api_keys", _KEY))},
)
def page() -> Response:
    query(Nothing)
    admit()
    keys = services().accounts.keys(caller().user_id)
    return jsonify(api_keys=[public_fields(key) for key in keys], next_cursor=None)


@blueprint.delete("/<key_id>")
@described(
    "revoke-api-key",
    "Account",
    "Revoke an API key",
    {"204": empty_response("The key stops working within 5 s.")},
    refused=(400, 404, 409, 413, 415),
)
def revoke(key_id: str) -> tuple[str, int]:
    body.no_body()
    query(Nothing)
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_revoke, user_id, key_id))
    accounts.revoke(user_id, key_id)
    return "", 204


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers
