"""The sender of a webhook: its secrets and its subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.errors import UserNotFound
from jobs.engine.webhooks.sender import Sender, sender
from jobs.engine.webhooks.subscriptions import Subscriptions


def test_a_sender_signs_with_its_users_secrets(connection: Any) -> None:
    subscriptions = Subscriptions(connection)
    assert Sender("alice", subscriptions).secrets() == subscriptions.secrets.signing("alice")


def test_a_subscription_is_active_until_it_ends_or_is_removed(connection: Any) -> None:
    subscriptions = Subscriptions(connection)
    alice = Sender("alice", subscriptions)
    ended, removed = (subscriptions.subscribe("alice", "https://a.b/", ["job_failed"]).id for _ in range(2))
    assert alice.still_wants(ended) and alice.still_wants(removed)
    alice.end(ended)
    subscriptions.unsubscribe("alice", removed)
    assert not alice.still_wants(ended) and not alice.still_wants(removed)


def test_there_is_no_sender_outside_a_job() -> None:
    with pytest.raises(UserNotFound, match="has no owner"):
        sender()
