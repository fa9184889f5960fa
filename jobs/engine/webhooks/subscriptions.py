"""A user's subscriptions: which events of their jobs are told to which address."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import redis

from jobs.engine.author.run import current_job
from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.errors import Conflict, UserNotFound, WebhookNotFound
from jobs.engine.settings import settings
from jobs.engine.states import EventType

from .secrets import WebhookSecrets

#: Progress comes several times a second: that is what streams are for.
TOLD_EVENTS = tuple(str(kind) for kind in EventType if kind is not EventType.PROGRESS)
MAX_PER_USER = 20

_SUBSCRIBE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'no_user' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'stored'
"""

# What was removed meanwhile does not come back.
_REPLACE = "return redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 and redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])"


@dataclass(frozen=True)
class Webhook:
    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    #: Since the receiver answered 410 Gone; nothing is sent to it any more.
    ended_at: datetime | None = None

    def wants(self, event: str) -> bool:
        return self.ended_at is None and event in self.events


class Webhooks:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection
        self.secrets = WebhookSecrets(connection)
        self._subscribe: Any = connection.register_script(_SUBSCRIBE)
        self._replace: Any = connection.register_script(_REPLACE)

    @broker_errors()
    def subscribe(self, user_id: str, url: str, events: Sequence[str]) -> Webhook:
        """Tell `url` of these events of all the user's jobs, from now on.

        Raises:
            UserNotFound: if there is no such user.
            Conflict: if the user has as many subscriptions as they may have.
        """
        new = Webhook(secrets.token_hex(8), url, tuple(dict.fromkeys(events)), datetime.now(UTC))
        keys = [f"wh:user:{user_id}", _key(user_id)]
        verdict = self._subscribe(keys=keys, args=[new.id, _dumped(new), MAX_PER_USER])
        if verdict == b"no_user":
            raise UserNotFound
        if verdict == b"full":
            raise Conflict(f"You have {MAX_PER_USER} webhooks, ended ones included; remove one first.")
        return new

    @broker_errors()
    def of_user(self, user_id: str) -> list[Webhook]:
        """A user's subscriptions, oldest first."""
        found = cast("dict[bytes, bytes]", self._connection.hgetall(_key(user_id)))
        return sorted(
            (_loaded(webhook_id, text) for webhook_id, text in found.items()),
            key=lambda webhook: (webhook.created_at, webhook.id),
        )

    @broker_errors()
    def find(self, user_id: str, webhook_id: str) -> Webhook:
        """Raises WebhookNotFound if the user has none of that id."""
        text = self._connection.hget(_key(user_id), webhook_id)
        if text is None:
            raise WebhookNotFound
        return _loaded(webhook_id.encode(), text)

    @broker_errors()
    def unsubscribe(self, user_id: str, webhook_id: str) -> None:
        """Raises WebhookNotFound if the user has none of that id."""
        if not self._connection.hdel(_key(user_id), webhook_id):
            raise WebhookNotFound

    def end(self, user_id: str, webhook_id: str) -> None:
        """Send nothing more to a receiver that is gone. Its owner still sees the subscription, and when it ended."""
        try:
            webhook = self.find(user_id, webhook_id)
        except WebhookNotFound:
            return  # its owner was first
        ended = Webhook(webhook.id, webhook.url, webhook.events, webhook.created_at, datetime.now(UTC))
        with broker_errors():
            self._replace(keys=[_key(user_id)], args=[webhook_id, _dumped(ended)])


@dataclass(frozen=True)
class Sender:
    """What the delivering job needs of the user whom it runs for."""

    user_id: str
    webhooks: Webhooks

    def secrets(self) -> list[str]:
        return self.webhooks.secrets.signing(self.user_id)

    def still_wants(self, webhook_id: str) -> bool:
        """Whether the subscription is there, and its receiver not gone."""
        try:
            return self.webhooks.find(self.user_id, webhook_id).ended_at is None
        except WebhookNotFound:
            return False

    def end(self, webhook_id: str) -> None:
        self.webhooks.end(self.user_id, webhook_id)


def sender() -> Sender:
    """The user of the running job, and their webhooks: secrets are looked up when they are needed, and stand in no job.

    Raises:
        UserNotFound: outside a job, and in one that runs for nobody.
    """
    job = current_job()
    if job is None or job.user_id is None:
        raise UserNotFound("A webhook is signed by the user of its job, and this one runs for nobody.")
    return Sender(job.user_id, Webhooks(connect(settings())))


def _key(user_id: str) -> str:
    return f"wh:webhooks:{user_id}"


def _dumped(webhook: Webhook) -> str:
    ended_at = webhook.ended_at and webhook.ended_at.isoformat()
    fields = {"url": webhook.url, "events": webhook.events, "created_at": webhook.created_at.isoformat()}
    return json.dumps(fields | {"ended_at": ended_at})


def _loaded(webhook_id: bytes, text: bytes) -> Webhook:
    fields = json.loads(text)
    ended_at = fields["ended_at"] and datetime.fromisoformat(fields["ended_at"])
    created_at = datetime.fromisoformat(fields["created_at"])
    return Webhook(webhook_id.decode(), fields["url"], tuple(fields["events"]), created_at, ended_at)
