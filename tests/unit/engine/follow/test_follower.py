"""Following jobs inside one process: who is told what, how often the broker is asked, and who is cut."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from jobs.engine.author.decorator import job
from jobs.engine.broker.store.feeds import FeedBounds
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.errors import JobNotFound
from jobs.engine.follow.follower import Follower
from jobs.engine.follow.history import versions
from jobs.engine.follow.inbox import MAX_QUEUED, Inbox
from jobs.engine.follow.message import Message
from jobs.engine.follow.user_watch import FEED_MICROS, KEEP_FEED, is_kept
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis
from tests.waiting import eventually

PATIENCE_SECONDS = 10.0


@job
def count(numbers: int = 3) -> int:
    return numbers


class Bench:
    """A broker in memory, on which the test takes the worker's part."""

    def __init__(self, data_dir: Path) -> None:
        settings = Settings(data_dir=data_dir, secret_key="s" * 32)
        self.connection = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
        self.connection.hset("wh:user:alice", "email", "alice@example.com")
        self.client = Client(self.connection, settings, Catalogue([JobType.of(count)]))
        self.store = self.client.store
        self.stopping = False
        self.follower = Follower(self.client, stopping=lambda: self.stopping)

    def submit(self) -> Job:
        submission = Submission(self.client.catalogue["count"], {}, "alice")
        return self.client.submit(submission).job

    def start(self, execution: str = "e1") -> str:
        claim: Any = self.store.claim("w1", execution, ["default"])
        return str(claim.job_id)

    def report(self, job_id: str, percent: float, execution: str = "e1") -> None:
        assert self.store.report(job_id, execution, progress={"progress": percent})

    def finish(self, job_id: str, kind: str = "completed", execution: str = "e1", **outcome: Any) -> None:
        self.store.finish(job_id, execution, "w1", Outcome(OutcomeKind(kind), result="Mw==", **outcome))

    def messages_of(self, job_id: str, after: int | None = None, *, logs: bool = False) -> Following:
        inbox = Inbox()
        return Following(inbox, self.follower.follow_job(job_id, after, inbox, logs=logs, idle_seconds=0.05))

    def messages_of_alice(self, after: int | None = None) -> Following:
        inbox = Inbox()
        return Following(inbox, self.follower.follow_user("alice", after, inbox, idle_seconds=0.05))


class Following:
    """One follower, in the test's own thread."""

    def __init__(self, inbox: Inbox, messages: Iterator[Message | None]) -> None:
        self.inbox = inbox
        self._messages = messages

    def next(self) -> Message:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for message in self._messages:
            if message is not None:
                return message
            assert time.monotonic() < deadline, "nothing was told"
        raise AssertionError("it has ended")

    def rest(self) -> list[Message]:
        return [message for message in self._messages if message is not None]

    def close(self) -> None:
        self._messages.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# --- one job -----------------------------------------------------------------------------


def test_a_follower_is_told_the_current_state_then_each_version_and_then_the_end(bench: Bench) -> None:
    job_id = bench.submit().job_id
    following = bench.messages_of(job_id)
    assert following.next().event == "update"
    bench.start()
    assert following.next().id == 2
    bench.report(job_id, 50)
    assert json.loads(following.next().resource)["progress"] == 50
    bench.finish(job_id)
    assert [(message.event, message.id) for message in following.rest()] == [("complete", 4)]


def test_one_who_comes_back_is_told_what_was_missed_as_it_then_was(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start("e1")
    bench.report(job_id, 10)
    bench.report(job_id, 20)
    bench.finish(job_id, "retrying", error="no", error_type="ValueError")
    bench.store.promote(["default"])
    bench.start("e2")
    bench.finish(job_id, execution="e2")
    told = bench.messages_of(job_id, after=1).rest()
    states = [(each.id, str(each.job.status), each.job.attempt, each.job.progress) for each in told if each.job]
    assert states == [
        (2, "running", 1, 0),
        (4, "running", 1, 20),
        (5, "pending", 1, 20),
        (6, "pending", 1, 20),
        (7, "running", 2, 0),
        (8, "completed", 2, 100),
    ]
    assert [each.event for each in told] == ["update"] * 5 + ["complete"]
    assert all(each.job.result is None and each.job.completed_at is None for each in told[:-1] if each.job)


def test_a_job_that_was_retried_meanwhile_is_complete_for_those_who_saw_it_run(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start()
    bench.finish(job_id, "failed", error="no", error_type="ValueError")
    bench.client.retry(job_id)
    (last,) = bench.messages_of(job_id, after=2).rest()
    assert last.job is not None
    assert (last.event, last.id, str(last.job.status), last.job.error) == ("complete", 3, "failed", "no")
    following = bench.messages_of(job_id, after=3)
    assert (following.next().id, following.inbox.after) == (4, 4)
    following.close()


def test_a_job_that_is_gone_is_an_error_and_the_end(bench: Bench) -> None:
    following = bench.messages_of(bench.submit().job_id)
    job_id = following.next().job_id
    bench.connection.delete(f"rq:job:{job_id}")
    bench.connection.publish(f"wh:job:{job_id}", "gone")
    (last,) = following.rest()
    assert last.event == "error" and last.error is not None and last.error["code"] == "job_not_found"


def log_line(message: str) -> str:
    return json.dumps({"at": "2026-11-25T09:00:00.000000Z", "attempt": 1, "level": "INFO", "message": message})


def test_log_lines_come_before_the_end_and_each_once(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start()
    bench.store.report(job_id, "e1", lines=[log_line("one")])
    following = bench.messages_of(job_id, logs=True)
    assert {following.next().event, following.next().event} == {"log", "update"}
    bench.store.report(job_id, "e1", lines=[log_line("two"), log_line("three")])
    bench.finish(job_id)
    told = following.rest()
    lines = [(line["number"], line["message"]) for message in told for line in message.lines]
    assert lines == [(1, "two"), (2, "three")]
    assert told[-1].event == "complete"


def test_a_change_is_read_once_however_many_follow(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = bench.submit().job_id
    followers = [bench.messages_of(job_id) for _ in range(50)]
    ends: list[list[Message]] = []
    threads = [threading.Thread(target=lambda each=each: ends.append(each.rest())) for each in followers]
    for thread in threads:
        thread.start()
    eventually(lambda: all(each.inbox.after == 1 for each in followers), "all are there")
    reads: list[Any] = []
    find = bench.store.find

    def counted(ids: list[str]) -> Any:
        reads.append(ids)
        return find(ids)

    monkeypatch.setattr(bench.store, "find", counted)
    bench.start()
    for percent in range(10):
        bench.report(job_id, percent)
    bench.finish(job_id)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert [told[-1].event for told in ends] == ["complete"] * 50
    assert 1 <= len(reads) <= 13
    assert len({id(told[-1]) for told in ends}) == 1, "each was made a message of its own"


def test_the_listener_rests_when_nobody_follows(bench: Bench) -> None:
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    following.close()
    eventually(lambda: bench.connection.pubsub_numsub("wh:job:x")[0][1] == 0, "it unsubscribes")
    assert len(bench.follower.watches) == 0


# --- waiting -------------------------------------------------------------------------------


def test_a_wait_ends_with_the_first_later_version_or_with_the_job(bench: Bench) -> None:
    job_id = bench.submit().job_id
    threading.Timer(0.1, bench.start).start()
    assert bench.follower.wait(job_id, after=1, timeout=PATIENCE_SECONDS).version == 2
    threading.Timer(0.1, bench.finish, [job_id]).start()
    assert bench.follower.wait(job_id, after=None, timeout=PATIENCE_SECONDS).status.terminal


def test_a_wait_that_runs_out_answers_the_job_as_it_is(bench: Bench) -> None:
    job_id = bench.submit().job_id
    assert bench.follower.wait(job_id, after=1, timeout=0.05).version == 1
    with pytest.raises(JobNotFound):
        bench.follower.wait("nowhere", after=1, timeout=1)


def test_all_that_is_followed_ends_when_the_process_stops(bench: Bench) -> None:
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    bench.stopping = True
    assert following.rest() == []


# --- all of a user's jobs -----------------------------------------------------------------


def test_a_user_s_feed_goes_on_from_any_position_without_loss_or_repeat(bench: Bench) -> None:
    bench.submit()
    following = bench.messages_of_alice()
    first = following.next()
    job_id = bench.start()
    bench.finish(job_id)
    bench.submit()
    told = [first, *(following.next() for _ in range(3))]
    following.close()
    ids = [each.id or 0 for each in told]
    assert ids == sorted(set(ids))
    for place in range(3):
        again = bench.messages_of_alice(after=ids[place])
        assert [again.next().id for _ in ids[place + 1 :]] == ids[place + 1 :]
        again.close()


def test_a_user_without_jobs_is_told_where_to_resume(bench: Bench) -> None:
    following = bench.messages_of_alice()
    nothing = following.next()
    assert nothing.event == "position" and nothing.id
    following.close()
    bench.submit()
    again = bench.messages_of_alice(after=nothing.id)
    assert again.next().event == "update"
    again.close()


def test_a_position_of_nowhere_is_reset(bench: Bench) -> None:
    bench.submit()
    following = bench.messages_of_alice(after=5)
    assert [following.next().event, following.next().event] == ["reset", "update"]
    following.close()


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
def test_a_position_is_kept_while_nothing_after_it_is_lost(after: int, bounds: FeedBounds, kept: bool) -> None:
    assert is_kept(after, bounds) is kept


# --- slow followers --------------------------------------------------------------------------


def progress(job: Job, version: int) -> Message:
    return Message.of(job, id=version, progress=True)


def test_superseded_progress_makes_no_queue(bench: Bench) -> None:
    job = bench.submit()
    inbox = Inbox()
    for version in range(10 * MAX_QUEUED):
        inbox.put(progress(job, version))
    message = inbox.take(0)
    assert message is not None and message.id == 10 * MAX_QUEUED - 1
    assert inbox.take(0) is None and not inbox.ended


def test_a_follower_with_too_much_before_it_is_cut(bench: Bench) -> None:
    job = bench.submit()
    cuts: list[bool] = []
    inbox = Inbox(on_cut=lambda: cuts.append(True))
    for version in range(MAX_QUEUED + 1):
        inbox.put(Message.of(job, id=version))
    assert cuts == [True] and inbox.ended and inbox.take(0) is None


def test_a_follower_that_takes_nothing_for_long_is_cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.follow.inbox.SLOW_SECONDS", 0.1)
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    bench.start()
    eventually(lambda: following.inbox.ended, "it is cut")


# --- history ------------------------------------------------------------------------------------


def test_history_ends_with_the_job_itself_and_knows_what_is_mere_progress(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start()
    bench.report(job_id, 10)
    bench.finish(job_id)
    job = bench.client.find(job_id)
    told = versions(job, bench.client.events(job_id))
    assert [(state.version, mere) for state, mere in told] == [(1, False), (2, False), (3, True), (4, False)]
    assert told[-1][0] is job
