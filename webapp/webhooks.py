"""Subscribe an address to the events of one's own jobs, and rotate what the messages are signed with."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field, field_validator

from jobs.engine.author.public_addresses import PublicUrl
from jobs.engine.times import rfc3339
from jobs.engine.webhooks.subscriptions import WEBHOOK_EVENTS, Subscription

from . import body
from .auth import caller
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1/webhooks")


class NewWebhook(BaseModel):
    url: PublicUrl
    events: Annotated[list[str], Field(min_length=1, max_length=len(WEBHOOK_EVENTS))]

    @field_validator("events")
    @classmethod
    def _known(cls, events: list[str]) -> list[str]:
        if unknown := [event for event in events if event not in WEBHOOK_EVENTS]:
            raise ValueError(f"{unknown[0][:64]!a} is none that can be told; there are {', '.join(WEBHOOK_EVENTS)}")
        return events


@blueprint.post("")
def subscribe() -> tuple[Response, int]:
    new = body.model(NewWebhook)
    query(Nothing)
    webhooks, user_id = services().webhooks, caller().user_id
    admit(partial(webhooks.check_subscribe, user_id))
    webhook = webhooks.subscribe(user_id, new.url, new.events)
    return jsonify(_resource(webhook) | {"secret": webhooks.secrets.signing(user_id)[0]}), 201


@blueprint.get("")
def page() -> Response:
    query(Nothing)
    admit()
    webhooks = services().webhooks.of_user(caller().user_id)
    return jsonify(webhooks=[_resource(webhook) for webhook in webhooks], next_cursor=None)


@blueprint.delete("/<webhook_id>")
def unsubscribe(webhook_id: str) -> tuple[str, int]:
    body.no_body()
    query(Nothing)
    webhooks, user_id = services().webhooks, caller().user_id
    admit(partial(webhooks.find, user_id, webhook_id))
    webhooks.unsubscribe(user_id, webhook_id)
    return "", 204


@blueprint.post("/secret/rotate")
def rotate() -> Response:
    """The earlier secret signs as well for a day."""
    body.no_body()
    query(Nothing)
    admit()
    rotated = services().webhooks.secrets.rotate(caller().user_id)
    ends_at = rotated.previous_ends_at
    return jsonify(secret=rotated.secret, previous_secret_ends_at=rfc3339(ends_at) if ends_at else None)


def _resource(webhook: Subscription) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": rfc3339(webhook.created_at),
        "ended_at": rfc3339(webhook.ended_at) if webhook.ended_at else None,
    }
