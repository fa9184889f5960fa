"""A user's webhook subscriptions: which events of their jobs are sent to which URL."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import redis
from pydantic import Field

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, readable_all
from jobs.engine.errors import Conflict, UserNotFound, WebhookNotFound
from jobs.engine.states import EventType
from jobs.engine.times import read_time

from .secrets import WebhookSecrets

#: All but progress, which comes several times a second: streams are for that.
WEBHOOK_EVENTS = tuple(str(kind) for kind in EventType if kind is not EventType.PROGRESS)
MAX_PER_USER = 20

_SUBSCRIBE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'no_user' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'stored'
"""

# A subscription that was removed meanwhile is not written again.
_REPLACE = "return redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 and redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])"


@dataclass(frozen=True)
class Subscription:
    """A URL that receives the events of a user's jobs."""

    id: str
    url: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    events: Annotated[
        tuple[str, ...], Field(json_schema_extra={"items": {"type": "string", "enum": list(WEBHOOK_EVENTS)}})
    ]
    created_at: datetime
    ended_at: Annotated[
        datetime | None, Field(description="When the receiver responded 410 Gone. Nothing is sent to it since then.")
    ] = None

    def wants(self, event: str) -> bool:
        return self.ended_at is None and event in self.events


class Subscriptions:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection
        self.secrets = WebhookSecrets(connection)
        self._subscribe: Any = connection.register_script(_SUBSCRIBE)
        self._replace: Any = connection.register_script(_REPLACE)

    @broker_errors()
    def subscribe(self, user_id: str, url: str, events: Sequence[str]) -> Subscription:
        """Send these events of all the user's jobs to `url` from now on.

        Raises:
            UserNotFound: if there is no such user.
            Conflict: if the user has reached the limit of subscriptions.
        """
        new = Subscription(secrets.token_hex(8), url, tuple(dict.fromkeys(events)), datetime.now(UTC))
        keys = [f"wh:user:{user_id}", _key(user_id)]
        verdict = self._subscribe(keys=keys, args=[new.id, _dumped(new), MAX_PER_USER])
        if verdict == b"no_user":
            raise UserNotFound
        if verdict == b"full":
            raise _too_many()
        return new

    @broker_errors()
    def check_subscribe(self, user_id: str) -> None:
        """Raise Conflict if `subscribe` would now."""
        if cast(int, self._connection.hlen(_key(user_id))) >= MAX_PER_USER:
            raise _too_many()

    @broker_errors()
    def of_user(self, user_id: str) -> list[Subscription]:
        """Return a user's subscriptions, oldest first."""
        key = _key(user_id)
        found = readable(key, lambda: cast("dict[bytes, bytes]", self._connection.hgetall(key))) or {}
        subscriptions = readable_all(key, lambda item: _loaded(*item), found.items())
        return sorted(subscriptions, key=lambda each: (each.created_at, each.id))

    @broker_errors()
    def find(self, user_id: str, webhook_id: str) -> Subscription:
        """Return one subscription. Raises WebhookNotFound if the user has no subscription of that id."""
        key = _key(user_id)
        text = readable(key, lambda: self._connection.hget(key, webhook_id))
        subscription = readable(key, lambda: _loaded(webhook_id.encode(), text)) if text is not None else None
        if subscription is None:
            raise WebhookNotFound
        return subscription

    @broker_errors()
    def unsubscribe(self, user_id: str, webhook_id: str) -> None:
        """Remove a subscription. Raises WebhookNotFound if the user has no subscription of that id."""
        if not self._connection.hdel(_key(user_id), webhook_id):
            raise WebhookNotFound

    def end(self, user_id: str, webhook_id: str) -> None:
        """Send nothing more to a receiver that is gone. Its owner still sees the subscription and when it ended."""
        try:
            subscription = self.find(user_id, webhook_id)
        except WebhookNotFound:
            return  # its owner has just removed it
        ended = replace(subscription, ended_at=datetime.now(UTC))
        with broker_errors():
            self._replace(keys=[_key(user_id)], args=[webhook_id, _dumped(ended)])


def _too_many() -> Conflict:
    return Conflict(f"You have reached the limit of {MAX_PER_USER} webhooks, including ended ones. Remove one.")


def _key(user_id: str) -> str:
    return f"wh:webhooks:{user_id}"


def _dumped(subscription: Subscription) -> str:
    fields = {
        "url": subscription.url,
        "events": subscription.events,
        "created_at": subscription.created_at.isoformat(),
        "ended_at": subscription.ended_at and subscription.ended_at.isoformat(),
    }
    return json.dumps(fields)


def _loaded(webhook_id: bytes, text: bytes) -> Subscription:
    fields = json.loads(text)
    url, events = fields["url"], tuple(fields["events"])
    if not all(isinstance(each, str) for each in (url, *events)):
        raise TypeError("its URL or an event is not text")
    ended_at = read_time(fields["ended_at"]) if fields["ended_at"] else None
    return Subscription(webhook_id.decode(), url, events, read_time(fields["created_at"]), ended_at)
