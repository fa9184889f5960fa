"""From an event to the jobs that tell of it over HTTP.

The script that makes an event leaves word of it in `wh:outbox`, if its job has a `webhook_url` or its owner has
subscriptions. Here each entry becomes one `deliver-webhook` job for each receiver, stored in the same step that takes
the entry out: any number of hosts may do this at once, and may die at any point.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from jobs.engine.broker.connection import broker_errors
from jobs.engine.client.client import Client, Submission
from jobs.engine.client.groups import Groups
from jobs.engine.client.job import Job
from jobs.engine.errors import JobTypeNotFound, NotFound
from jobs.engine.states import TERMINAL, Priority

from .subscriptions import Webhooks

logger = logging.getLogger("workhorse")

DELIVER = "deliver-webhook"
AT_ONCE = 100
#: A message is small, as Standard Webhooks asks: what is larger stays where `poll_url` points to.
MAX_VALUE_BYTES = 16_384


@dataclass(frozen=True)
class Announced:
    """An outbox entry: an event, and the job that it happened to; or that a group has ended."""

    entry: str
    job_id: str | None
    group_id: str | None
    event: dict[str, Any]

    @classmethod
    def read(cls, entry: str) -> Announced:
        subject, _, event = entry.partition(" ")
        kind, _, group_id = subject.rpartition(":")
        return cls(entry, None if kind else subject, group_id if kind else None, json.loads(event))

    def message(self, job: Job) -> dict[str, Any]:
        """What receivers get: the event's type and time, and the job as it was then."""
        told = ("version", "status", "attempt", "error", "error_type")
        resource = job.as_dict() | {name: self.event[name] for name in told if name in self.event}
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
        self._webhooks = Webhooks(client.store.connection)

    def empty(self) -> None:
        """Turn what has been announced so far into jobs, all of it."""
        while self._turn() == AT_ONCE:
            continue

    def _turn(self) -> int:
        entries = cast(list[bytes], self._client.store.connection.lrange("wh:outbox", 0, AT_ONCE - 1))
        for entry in entries:
            self._dispatch(entry.decode())
        return len(entries)

    def _dispatch(self, entry: str) -> None:
        deliveries: list[Submission] = []
        try:
            announced = Announced.read(entry)
            if announced.group_id is not None:
                deliveries = list(self._of_group(announced, announced.group_id))
            elif announced.job_id is not None:
                deliveries = list(self._of_job(announced, announced.job_id))
        except JobTypeNotFound:
            logger.warning("no webhook is sent: the catalogue has no %s, add the package jobs to JOB_PACKAGES", DELIVER)
        except NotFound:
            logger.info("no webhook is sent of %s: its owner was removed", entry[:64])
        except (ValueError, KeyError):  # one that can't be read must not hold up all that come after it
            logger.exception("no webhook is sent of %s", entry[:200])
        self._client.submit_nobodys(deliveries, outbox_entry=entry)

    def _of_job(self, announced: Announced, job_id: str) -> Iterator[Submission]:
        with broker_errors():
            url = self._client.store.connection.hget(f"rq:job:{job_id}", "webhook_url")
        job = self._client.find(job_id)
        if job.user_id is None or job.job_type == DELIVER:
            return
        message = announced.message(job)
        if url is not None and announced.event["status"] in TERMINAL:
            yield self._delivery(announced, job.user_id, cast(bytes, url).decode(), message, None)
        for webhook in self._webhooks.of_user(job.user_id):
            if webhook.wants(announced.event["type"]):
                yield self._delivery(announced, job.user_id, webhook.url, message, webhook.id)

    def _of_group(self, announced: Announced, group_id: str) -> Iterator[Submission]:
        group = Groups(self._client).read(group_id)
        if group.webhook_url is None or not group.status.terminal:
            return  # it was retried meanwhile, and is announced when it ends again
        data = {"status": group.status, "progress": group.progress, "counts": group.counts, "job_ids": group.job_ids}
        message = {
            "type": f"{group.kind}_{group.status}",
            "timestamp": announced.event["at"],
            "data": {f"{group.kind}_id": group_id, **data},
        }
        yield self._delivery(announced, group.user_id, group.webhook_url, message, None)

    def _delivery(
        self, announced: Announced, user_id: str, url: str, message: dict[str, Any], webhook_id: str | None
    ) -> Submission:
        what = f"{announced.entry} {webhook_id or ''}"
        return Submission(
            job_type=self._client.catalogue.find(DELIVER),
            params={"url": url, "payload": message} | ({"webhook_id": webhook_id} if webhook_id else {}),
            user_id="",
            acts_for=user_id,
            priority=Priority.LOW,
            # Of the event and the receiver, and so the message's id: a receiver that gets it twice can tell.
            job_id=sha256(what.encode()).hexdigest()[:32],
        )
