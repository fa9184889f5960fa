"""The user on whose behalf the delivery job sends a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.engine.author.running import current_job
from jobs.engine.errors import UserNotFound, WebhookNotFound
from jobs.engine.settings import settings

if TYPE_CHECKING:
    from .subscriptions import Subscriptions


@dataclass(frozen=True)
class Sender:
    """Reads the user's secrets when a message is signed, so that no job's parameters contain them."""

    user_id: str
    subscriptions: Subscriptions

    def secrets(self) -> list[str]:
        """Return the secrets that sign now, the current one first."""
        return self.subscriptions.secrets.signing(self.user_id)

    def still_wants(self, webhook_id: str) -> bool:
        """Return True if the subscription exists and has not ended."""
        try:
            return self.subscriptions.find(self.user_id, webhook_id).ended_at is None
        except WebhookNotFound:
            return False

    def end(self, webhook_id: str) -> None:
        """End a subscription whose receiver is gone."""
        self.subscriptions.end(self.user_id, webhook_id)


def sender() -> Sender:
    """Return the user of the running job.

    Raises:
        UserNotFound: outside a job, and in a job that has no owner.
    """
    job = current_job()
    if job is None or job.user_id is None:
        raise UserNotFound("A webhook is signed with the secret of its job's owner, and this job has no owner.")
    from jobs.engine.broker.connection import connect

    from .subscriptions import Subscriptions

    return Sender(job.user_id, Subscriptions(connect(settings())))
