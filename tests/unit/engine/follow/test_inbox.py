"""The inbox: what it keeps, and when its follower is cut off."""

from __future__ import annotations

import threading

import pytest

from jobs.engine.client.job import Job
from jobs.engine.follow.inbox import MAX_QUEUED, Inbox
from jobs.engine.follow.message import Message
from tests.unit.engine.follow.bench import TIMEOUT_SECONDS, Bench
from tests.waiting import eventually


def update(job: Job, version: int, *, progress: bool = False) -> Message:
    return Message.of(job, id=version, progress=progress)


def test_messages_are_taken_in_order(bench: Bench) -> None:
    job, inbox = bench.submit(), Inbox()
    for version in (1, 2):
        inbox.put(update(job, version))
    taken = [inbox.take(0) for _ in range(3)]
    assert [message and message.id for message in taken] == [1, 2, None]


def test_superseded_progress_does_not_fill_the_inbox(bench: Bench) -> None:
    job, inbox = bench.submit(), Inbox()
    for version in range(10 * MAX_QUEUED):
        inbox.put(update(job, version, progress=True))
    message = inbox.take(0)
    assert message is not None and message.id == 10 * MAX_QUEUED - 1
    assert inbox.take(0) is None and not inbox.ended


def test_progress_does_not_replace_that_of_another_job(bench: Bench) -> None:
    inbox = Inbox()
    for job in (bench.submit(), bench.submit()):
        inbox.put(update(job, 1, progress=True))
    assert inbox.take(0) is not None and inbox.take(0) is not None


def test_a_follower_with_too_many_messages_is_cut_off(bench: Bench) -> None:
    job = bench.submit()
    cuts: list[bool] = []
    inbox = Inbox(on_cut=lambda: cuts.append(True))
    for version in range(MAX_QUEUED + 1):
        inbox.put(update(job, version))
    assert cuts == [True] and inbox.ended and inbox.take(0) is None


def test_a_follower_that_takes_nothing_for_long_is_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.follow.inbox.SLOW_SECONDS", 0.1)
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    bench.start()
    assert eventually(lambda: following.inbox.ended, "the follower is cut off")


def test_an_ended_inbox_takes_no_message_and_releases_its_follower(bench: Bench) -> None:
    inbox = Inbox()
    follower = threading.Thread(target=inbox.take, args=(None,))
    follower.start()
    inbox.end()
    follower.join(TIMEOUT_SECONDS)
    assert not follower.is_alive()
    inbox.put(update(bench.submit(), 1))
    assert inbox.take(0) is None


def test_a_reminder_wakes_an_idle_follower() -> None:
    inbox = Inbox()
    inbox.idle_seconds = 0
    follower = threading.Thread(target=inbox.take, args=(None,))
    follower.start()
    inbox.remind_if_idle()
    follower.join(TIMEOUT_SECONDS)
    assert not follower.is_alive()
