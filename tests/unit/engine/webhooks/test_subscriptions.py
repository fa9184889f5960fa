"""Subscriptions: what is stored, what is refused, and how one ends."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.errors import Conflict, UserNotFound, WebhookNotFound
from jobs.engine.webhooks.subscriptions import MAX_PER_USER, WEBHOOK_EVENTS, Subscriptions

URL = "https://example.com/hook"


@pytest.fixture
def subscriptions(connection: Any) -> Subscriptions:
    return Subscriptions(connection)


def test_progress_is_not_among_the_events_of_a_webhook() -> None:
    assert "job_progress" not in WEBHOOK_EVENTS and "job_completed" in WEBHOOK_EVENTS


def test_a_subscription_is_found_and_listed_as_it_was_made(subscriptions: Subscriptions) -> None:
    made = subscriptions.subscribe("alice", URL, ["job_failed", "job_completed", "job_failed"])
    assert made.events == ("job_failed", "job_completed")
    assert subscriptions.find("alice", made.id) == made
    later = subscriptions.subscribe("alice", URL, ["job_failed"])
    assert subscriptions.of_user("alice") == [made, later]


def test_a_user_who_does_not_exist_can_not_subscribe(subscriptions: Subscriptions) -> None:
    with pytest.raises(UserNotFound):
        subscriptions.subscribe("bob", URL, ["job_failed"])


def test_the_limit_counts_ended_subscriptions(subscriptions: Subscriptions) -> None:
    made = [subscriptions.subscribe("alice", URL, ["job_failed"]) for _ in range(MAX_PER_USER)]
    subscriptions.end("alice", made[0].id)
    with pytest.raises(Conflict, match="limit of 20 webhooks"):
        subscriptions.subscribe("alice", URL, ["job_failed"])
    subscriptions.unsubscribe("alice", made[0].id)
    subscriptions.subscribe("alice", URL, ["job_failed"])


def test_an_ended_subscription_is_shown_and_receives_no_event(subscriptions: Subscriptions) -> None:
    made = subscriptions.subscribe("alice", URL, ["job_failed"])
    assert made.wants("job_failed") and not made.wants("job_completed")
    subscriptions.end("alice", made.id)
    (ended,) = subscriptions.of_user("alice")
    assert ended.ended_at is not None and not ended.wants("job_failed")


def test_ending_a_removed_subscription_does_not_bring_it_back(subscriptions: Subscriptions) -> None:
    made = subscriptions.subscribe("alice", URL, ["job_failed"])
    subscriptions.unsubscribe("alice", made.id)
    subscriptions.end("alice", made.id)
    assert subscriptions.of_user("alice") == []


def test_the_subscription_of_another_user_is_not_found(subscriptions: Subscriptions) -> None:
    made = subscriptions.subscribe("alice", URL, ["job_failed"])
    with pytest.raises(WebhookNotFound):
        subscriptions.find("bob", made.id)
    with pytest.raises(WebhookNotFound):
        subscriptions.unsubscribe("bob", made.id)
    assert subscriptions.find("alice", made.id) == made
