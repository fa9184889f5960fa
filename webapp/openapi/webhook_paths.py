"""Subscribing to events, and the messages that tell of them."""

from __future__ import annotations

from typing import Any

from jobs.engine.webhooks.subscriptions import WEBHOOK_EVENTS

from .operation import answer, in_path, json_body, operation, ref
from .schemas import TEXT, TIME, answered, listed, nullable, taken

URL = {"type": "string", "format": "uri", "maxLength": 2048}
EVENTS = {"type": "array", "items": {"type": "string", "enum": list(WEBHOOK_EVENTS)}, "minItems": 1}
SECRET = TEXT | {"description": "What messages to you are signed with: keep it, it is not shown again."}

WEBHOOK = {
    "id": TEXT,
    "url": URL,
    "events": EVENTS,
    "created_at": TIME,
    "ended_at": nullable(TIME) | {"description": "Since when the receiver is gone: it answered 410."},
}

WEBHOOK_SCHEMAS = {
    "Webhook": answered(WEBHOOK),
    "WebhookPage": listed("webhooks", "Webhook"),
    "NewWebhook": answered(WEBHOOK | {"secret": SECRET}),
}

EXAMPLE = {"url": "https://example.com/hook", "events": ["job_completed", "job_failed"]}

MESSAGES = """\
Each event is a POST of `{"type", "timestamp", "data"}`, where `data` is the job resource; `params` and `result` over
16 KiB are null there and named in `omitted`. `webhook-id` stays the same when a message is sent again,
`webhook-signature` holds a signature for each of your secrets that is good. A message is tried for a day until it is
answered with 2xx; 429 and 503 with `Retry-After` are honoured, 410 ends the subscription, redirects are not followed.
"""


def webhook_paths() -> dict[str, Any]:
    """The paths of webhooks."""
    return {
        "/webhooks": {"get": _list(), "post": _subscribe()},
        "/webhooks/{webhook_id}": {"delete": _unsubscribe()},
        "/webhooks/secret/rotate": {"post": _rotate()},
    }


def _list() -> dict[str, Any]:
    return operation("list-webhooks", "Webhooks", "List my webhooks", {"200": answer("All.", ref("WebhookPage"))})


def _subscribe() -> dict[str, Any]:
    return operation(
        "create-webhook",
        "Webhooks",
        "Be told of events of my jobs",
        {"201": answer("With the secret that messages are signed with.", ref("NewWebhook"))},
        description=MESSAGES,
        body=json_body(taken({"url": URL, "events": EVENTS}), example=EXAMPLE),
        refused=(400, 409, 413, 415),
    )


def _unsubscribe() -> dict[str, Any]:
    return operation(
        "delete-webhook",
        "Webhooks",
        "Remove a webhook",
        {"204": {"description": "Nothing more is sent to it."}},
        parameters=(in_path("webhook_id", "As in the list."),),
        refused=(404,),
    )


def _rotate() -> dict[str, Any]:
    properties = {
        "secret": SECRET,
        "previous_secret_ends_at": nullable(TIME) | {"description": "Until then the one before it signs as well."},
    }
    return operation(
        "rotate-webhook-secret",
        "Webhooks",
        "Make a new webhook secret",
        {"200": answer("The new secret, this once.", answered(properties))},
        refused=(400, 413, 415),
    )
