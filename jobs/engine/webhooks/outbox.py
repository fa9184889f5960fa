"""Turn events into the jobs that deliver them over HTTP.

The script that makes an event also appends it to `wh:outbox` if its job has a `webhook_url` or its owner has
subscriptions. Here each entry becomes one `deliver-webhook` job for each receiver. The jobs are stored in the same
step that removes the entry, so any number of hosts can do this at the same time, and can die at any point.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors
from jobs.engine.client.client import Client
from jobs.engine.client.groups import Groups
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.errors import JobTypeNotFound, NotFound
from jobs.engine.states import TERMINAL, Priority

from .subscriptions import Subscriptions

logger = logging.getLogger("workhorse")

DELIVER = "deliver-webhook"
BATCH = 100
#: Standard Webhooks asks for small messages. A larger value is left out; it can be read at `poll_url`.
MAX_VALUE_BYTES = 16_384

_FIELDS_OF_EVENT = ("version", "status", "attempt", "error", "error_type")


@dataclass(frozen=True)
class OutboxEntry:
    """An event with the job that it happened to, or with the group that has ended."""

    text: str
    job_id: str | None
    group_id: str | None
    event: dict[str, Any]

    @classmethod
    def read(cls, text: str) -> OutboxEntry:
        """Raises ValueError if the event is not JSON."""
        subject, _, event = text.partition(" ")
        kind, _, group_id = subject.rpartition(":")
        return cls(text, None if kind else subject, group_id if kind else None, json.loads(event))

    def message(self, job: Job) -> dict[str, Any]:
        """Return what receivers get: the event's type and time, and the job as it was then."""
        resource = job.as_dict() | {name: self.event[name] for name in _FIELDS_OF_EVENT if name in self.event}
        omitted = [name for name in ("params", "result") if len(json.dumps(resource[name])) > MAX_VALUE_BYTES]
        resource |= dict.fromkeys(omitted)
        return {
            "type": self.event["type"],
            "timestamp": self.event["at"],
            "data": resource | ({"omitted": omitted} if omitted else {}),
        }


class Outbox:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._subscriptions = Subscriptions(client.store.connection)

    def empty(self) -> None:
        """Turn all entries of the outbox into jobs. Raises BrokerUnavailable."""
        while self._turn() == BATCH:
            continue

    def _turn(self) -> int:
        entries = cast(list[bytes], self._client.store.connection.lrange("wh:outbox", 0, BATCH - 1))
        for entry in entries:
            try:
                self._dispatch(entry.decode())
            except UnicodeDecodeError:
                logger.warning("webhook not sent for %.200r: it is not text", entry)
                self._client.store.connection.lrem("wh:outbox", 1, cast(str, entry))
        return len(entries)

    def _dispatch(self, text: str) -> None:
        deliveries: list[Submission] = []
        try:
            entry = OutboxEntry.read(text)
            if entry.group_id is not None:
                deliveries = list(self._of_group(entry, entry.group_id))
            elif entry.job_id is not None:
                deliveries = list(self._of_job(entry, entry.job_id))
        except JobTypeNotFound:
            logger.warning("webhook not sent: job type %s is missing; add the package jobs to JOB_PACKAGES", DELIVER)
        except NotFound:
            logger.info("webhook not sent for %s: its owner was removed", text[:64])
        except malformed.MALFORMED:  # a malformed entry must not block those after it
            logger.exception("webhook not sent for %s", text[:200])
        self._client.submit_unowned(deliveries, outbox_entry=text)

    def _of_job(self, entry: OutboxEntry, job_id: str) -> Iterator[Submission]:
        key = f"rq:job:{job_id}"
        with broker_errors():
            url = malformed.readable(key, lambda: self._client.store.connection.hget(key, "webhook_url"))
        job = self._client.find(job_id)
        if job.user_id is None or job.job_type == DELIVER:
            return
        message = entry.message(job)
        if url is not None and entry.event["status"] in TERMINAL:
            yield self._delivery(entry, job.user_id, cast(bytes, url).decode(), message, None)
        for subscription in self._subscriptions.of_user(job.user_id):
            if subscription.wants(entry.event["type"]):
                yield self._delivery(entry, job.user_id, subscription.url, message, subscription.id)

    def _of_group(self, entry: OutboxEntry, group_id: str) -> Iterator[Submission]:
        group = Groups(self._client).read(group_id)
        if group.webhook_url is None or not group.status.terminal:
            return  # it was retried meanwhile, and gets another entry when it ends again
        data = {"status": group.status, "progress": group.progress, "counts": group.counts, "job_ids": group.job_ids}
        message = {
            "type": f"{group.kind}_{group.status}",
            "timestamp": entry.event["at"],
            "data": {f"{group.kind}_id": group_id, **data},
        }
        yield self._delivery(entry, group.user_id, group.webhook_url, message, None)

    def _delivery(
        self, entry: OutboxEntry, user_id: str, url: str, message: dict[str, Any], webhook_id: str | None
    ) -> Submission:
        event_and_receiver = f"{entry.text} {webhook_id or ''}"
        return Submission(
            job_type=self._client.catalogue.find(DELIVER),
            params={"url": url, "payload": message} | ({"webhook_id": webhook_id} if webhook_id else {}),
            user_id="",
            acts_for=user_id,
            priority=Priority.LOW,
            # The message's id is made from this id, so a receiver can recognize a message that it gets twice.
            job_id=sha256(event_and_receiver.encode()).hexdigest()[:32],
        )
