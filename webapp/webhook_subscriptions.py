"""Subscribe a URL to the events of one's own jobs, and rotate the secret that signs the messages."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field, field_validator

from jobs.engine.author.public_addresses import PublicUrl
from jobs.engine.public_fields import public_fields
from jobs.engine.times import rfc3339
from jobs.engine.webhooks.subscriptions import WEBHOOK_EVENTS, Subscription

from . import body
from .auth import caller
from .openapi.components import component, page_of, resource
from .openapi.describing import described
from .openapi.operation import empty_response, json_body, returns
from .openapi.schemas import TEXT, TIME, nullable, returned
from .query import Nothing, query
from .rate_limit import admit
from .recording import creates
from .services import services

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1/webhooks")

MESSAGES = """\
Each event is a POST of `{"type", "timestamp", "data"}`, where `data` is the job resource. A `params` or `result` over
16 KiB is null there and named in `omitted`. `webhook-id` stays the same when a message is sent again.
`webhook-signature` holds a signature for each of your valid secrets. A message is retried for a day until the response
is 2xx. 429 and 503 with `Retry-After` are honoured, 410 ends the subscription, and redirects are not followed.
"""


class NewWebhook(BaseModel):
    url: PublicUrl
    events: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=len(WEBHOOK_EVENTS),
            json_schema_extra={"items": {"type": "string", "enum": list(WEBHOOK_EVENTS)}},
        ),
    ]

    @field_validator("events")
    @classmethod
    def _known(cls, events: list[str]) -> list[str]:
        if unknown := [event for event in events if event not in WEBHOOK_EVENTS]:
            raise ValueError(f"unknown event {unknown[0][:64]!a}; expected {', '.join(WEBHOOK_EVENTS)}")
        return events


_SECRET = TEXT | {"description": "Messages to you are signed with it. Keep it: it is not shown again."}
_WEBHOOK = resource(Subscription, name="Webhook")
_NEW_WEBHOOK = component("NewWebhook", {"allOf": [_WEBHOOK, returned({"secret": _SECRET})]})
_ROTATED = returned(
    {
        "secret": _SECRET,
        "previous_secret_ends_at": nullable(TIME) | {"description": "Until then, the previous secret signs as well."},
    }
)
_EXAMPLE = {"url": "https://example.com/hook", "events": ["job_completed", "job_failed"]}


@blueprint.post("")
@described(
    "create-webhook",
    "Webhooks",
    "Receive the events of my jobs",
    {"201": returns("The webhook, with the secret that signs its messages.", _NEW_WEBHOOK)},
    description=MESSAGES,
    body=json_body(NewWebhook, example=_EXAMPLE),
    refused=(400, 409, 413, 415),
)
def subscribe() -> tuple[Response, int]:
    new = body.model(NewWebhook)
    query(Nothing)
    webhooks, user_id = services().webhooks, caller().user_id
    admit(partial(webhooks.check_subscribe, user_id))
    webhook = webhooks.subscribe(user_id, new.url, new.events)
    creates(webhook.id)
    return jsonify(public_fields(webhook) | {"secret": webhooks.secrets.signing(user_id)[0]}), 201


@blueprint.get("")
@described(
    "list-webhooks",
    "Webhooks",
    "List my webhooks",
    {"200": returns("All webhooks, oldest first.", page_of("WebhookPage", "webhooks", _WEBHOOK))},
)
def page() -> Response:
    query(Nothing)
    admit()
    found = services().webhooks.of_user(caller().user_id)
    return jsonify(webhooks=[public_fields(webhook) for webhook in found], next_cursor=None)


@blueprint.delete("/<webhook_id>")
@described(
    "delete-webhook",
    "Webhooks",
    "Remove a webhook",
    {"204": empty_response("The webhook is removed. Nothing more is sent to it.")},
    refused=(400, 404, 413, 415),
)
def unsubscribe(webhook_id: str) -> tuple[str, int]:
    body.no_body()
    query(Nothing)
    webhooks, user_id = services().webhooks, caller().user_id
    admit(partial(webhooks.find, user_id, webhook_id))
    webhooks.unsubscribe(user_id, webhook_id)
    return "", 204


@blueprint.post("/secret/rotate")
@described(
    "rotate-webhook-secret",
    "Webhooks",
    "Create a new webhook secret",
    {"200": returns("The new secret. It is shown only once. The previous one also signs for a day.", _ROTATED)},
    refused=(400, 413, 415),
)
def rotate() -> Response:
    body.no_body()
    query(Nothing)
    admit()
    rotated = services().webhooks.secrets.rotate(caller().user_id)
    ends_at = rotated.previous_ends_at
    return jsonify(secret=rotated.secret, previous_secret_ends_at=rfc3339(ends_at) if ends_at else None)
