"""Make, list and revoke one's own API keys."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import AfterValidator, BaseModel, Field

from jobs.engine.accounts.api_keys import ApiKey
from jobs.engine.times import rfc3339

from . import body
from .auth import caller
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("api_keys", __name__, url_prefix="/api/v1/api-keys")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that can't be shown")
    return text


class NewKey(BaseModel):
    name: Annotated[str, AfterValidator(_printable)] = Field("", max_length=100)


@blueprint.post("")
def create() -> tuple[Response, int]:
    new = body.model(NewKey) if _has_body() else NewKey()
    query(Nothing)
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_create_key, user_id))
    key, secret = accounts.create_key(user_id, new.name)
    return jsonify(_resource(key) | {"key": secret}), 201


@blueprint.get("")
def page() -> Response:
    query(Nothing)
    admit()
    keys = services().accounts.keys(caller().user_id)
    return jsonify(api_keys=[_resource(key) for key in keys], next_cursor=None)


@blueprint.delete("/<key_id>")
def revoke(key_id: str) -> tuple[str, int]:
    body.no_body()
    query(Nothing)
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_revoke, user_id, key_id))
    accounts.revoke(user_id, key_id)
    return "", 204


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _resource(key: ApiKey) -> dict[str, Any]:
    return {"id": key.id, "name": key.name, "created_at": rfc3339(key.created_at)}
