"""The services that the views use: one set for each app."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from jobs.engine.accounts.audit import Audit
from jobs.engine.operate.metrics import Metrics
from jobs.engine.webhooks.subscriptions import Subscriptions

from .current import app_of_request

if TYPE_CHECKING:
    from jobs.engine.accounts.accounts import Accounts
    from jobs.engine.catalogue.catalogue import Catalogue
    from jobs.engine.client.client import Client
    from jobs.engine.follow.follower import Follower
    from jobs.engine.settings import Settings

EXTENSION = "workhorse"


@dataclass(frozen=True)
class Services:
    settings: Settings
    catalogue: Catalogue
    client: Client
    accounts: Accounts
    #: One for each web process: it holds the process's only subscription to the broker.
    follower: Follower

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.client.store.connection)

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.client.store)

    @cached_property
    def webhooks(self) -> Subscriptions:
        return Subscriptions(self.client.store.connection)


def services() -> Services:
    """Return the services of the current app."""
    return cast("Services", app_of_request().extensions[EXTENSION])
