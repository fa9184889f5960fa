"""A user's feed: which positions it still covers, and what its followers get."""

from __future__ import annotations

import pytest

from jobs.engine.broker.store.feeds import FeedBounds
from jobs.engine.follow.inbox import Inbox
from jobs.engine.follow.user_watch import FEED_MICROS, KEEP_FEED, UserWatch, is_kept
from tests.unit.engine.follow.bench import Bench


@pytest.mark.parametrize(
    ("after", "bounds", "kept"),
    [
        (99, FeedBounds(100, 200, 101, 0), True),
        (200, FeedBounds(100, 200, 101, 0), True),
        (201, FeedBounds(100, 200, 101, 0), False),
        (50, FeedBounds(100, 200, 101, 0), True),  # before a feed that has lost nothing
        (50, FeedBounds(100, 10_099, KEEP_FEED, 0), False),
        (50, FeedBounds(100 + FEED_MICROS, 200 + FEED_MICROS, 101, 0), False),
        (50, FeedBounds(None, None, 0, 0), False),
    ],
)
def test_a_position_is_kept_while_every_later_entry_is(after: int, bounds: FeedBounds, kept: bool) -> None:
    assert is_kept(after, bounds) is kept


def watched(bench: Bench, after: int | None) -> tuple[UserWatch, Inbox]:
    watch, inbox = UserWatch("alice"), Inbox()
    inbox.after = after
    watch.inboxes.add(inbox)
    return watch, inbox


def test_a_follower_gets_the_entries_after_its_position_once(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    position = bench.store.feeds.bounds("alice").first
    watch, inbox = watched(bench, position)
    watch.deliver(bench.store)
    watch.deliver(bench.store)
    message = inbox.take(0)
    assert message is not None and message.job_id == second.job_id != first.job_id
    assert inbox.take(0) is None


def test_a_follower_whose_position_is_no_longer_kept_is_reset(bench: Bench) -> None:
    bench.submit()
    watch, inbox = watched(bench, 5)
    watch.deliver(bench.store)
    message = inbox.take(0)
    assert message is not None and message.event == "reset" and inbox.after is None


def test_a_job_that_has_expired_is_reported_once(bench: Bench) -> None:
    job_id = bench.submit().job_id
    bench.start()
    bench.connection.delete(f"rq:job:{job_id}")
    first = bench.store.feeds.bounds("alice").first
    assert first is not None
    watch, inbox = watched(bench, first - 1)
    watch.deliver(bench.store)
    message = inbox.take(0)
    assert message is not None and message.event == "error"
    assert inbox.take(0) is None


@pytest.mark.parametrize("entry", [b"garbage", b"\xff", b"x y z", b"1 2"])
def test_a_malformed_entry_hides_no_other(bench: Bench, entry: bytes) -> None:
    first = bench.submit()
    bounds = bench.store.feeds.bounds("alice")
    bench.connection.rpush("wh:feed:alice", entry)
    last = bench.connection.lindex("wh:feed:alice", 0)
    assert last is not None and bounds.first is not None
    bench.connection.rpush("wh:feed:alice", f"{bounds.first + 2} {first.job_id} 1")
    watch, inbox = watched(bench, bounds.first)
    watch.deliver(bench.store)
    message = inbox.take(0)
    assert message is not None and message.id == bounds.first + 2


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_a_feed_of_another_type_is_empty(bench: Bench, kind: str) -> None:
    if kind == "string":
        bench.connection.set("wh:feed:alice", "garbage")
    else:
        bench.connection.hset("wh:feed:alice", "a", "b")
    watch, inbox = watched(bench, 1)
    watch.deliver(bench.store)
    assert inbox.take(0) is None
