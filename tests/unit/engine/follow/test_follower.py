"""The follower: which messages one caller gets, and when it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobs.engine.errors import JobNotFound
from jobs.engine.follow.message import Message
from tests.unit.engine.follow.bench import TIMEOUT_SECONDS, Bench
from tests.waiting import eventually

# --- one job -----------------------------------------------------------------------------


def test_a_follower_gets_the_current_state_then_each_version_and_the_end(bench: Bench) -> None:
    job_id = bench.submit().job_id
    following = bench.messages_of(job_id)
    assert following.next().event == "update"
    bench.start()
    assert following.next().id == 2
    bench.report(job_id, 50)
    assert json.loads(following.next().resource)["progress"] == 50
    bench.finish(job_id)
    assert [(message.event, message.id) for message in following.rest()] == [("complete", 4)]


def test_a_returning_follower_gets_the_missed_versions_as_they_were(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start("e1")
    bench.report(job_id, 10)
    bench.report(job_id, 20)
    bench.finish(job_id, "retrying", error="no", error_type="ValueError")
    bench.store.promote()
    bench.start("e2")
    bench.finish(job_id, execution="e2")
    messages = bench.messages_of(job_id, after=1).rest()
    states = [(each.id, str(each.job.status), each.job.attempt, each.job.progress) for each in messages if each.job]
    assert states == [
        (2, "running", 1, 0),
        (4, "running", 1, 20),
        (5, "pending", 1, 20),
        (6, "pending", 1, 20),
        (7, "running", 2, 0),
        (8, "completed", 2, 100),
    ]
    assert [each.event for each in messages] == ["update"] * 5 + ["complete"]
    assert all(each.job.result is None and each.job.completed_at is None for each in messages[:-1] if each.job)


def test_a_job_that_was_retried_meanwhile_completes_for_an_earlier_follower(bench: Bench) -> None:
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


def test_a_job_that_has_expired_is_an_error_and_the_end(bench: Bench) -> None:
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
    messages = following.rest()
    lines = [(line["number"], line["message"]) for message in messages for line in message.lines]
    assert lines == [(1, "two"), (2, "three")]
    assert messages[-1].event == "complete"


def test_a_change_is_read_once_for_all_followers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = bench.submit().job_id
    followers = [bench.messages_of(job_id) for _ in range(50)]
    ends: list[list[Message]] = []
    threads = [threading.Thread(target=lambda each=each: ends.append(each.rest())) for each in followers]
    for thread in threads:
        thread.start()
    eventually(lambda: all(each.inbox.after == 1 for each in followers), "all follow the job")
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
        thread.join(TIMEOUT_SECONDS)
    assert [messages[-1].event for messages in ends] == ["complete"] * 50
    assert 1 <= len(reads) <= 13
    assert len({id(messages[-1]) for messages in ends}) == 1, "the followers do not share the message"


def test_the_listener_unsubscribes_when_nothing_is_followed(bench: Bench) -> None:
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    following.close()
    eventually(lambda: bench.connection.pubsub_numsub("wh:job:x")[0][1] == 0, "it unsubscribes")
    assert len(bench.follower.watches) == 0


# --- waiting -------------------------------------------------------------------------------


def once_waiting(bench: Bench, act: Callable[[], object]) -> None:
    """Act in another thread, as soon as a job is waited for."""
    assert not len(bench.follower.watches)

    def run() -> None:
        eventually(lambda: len(bench.follower.watches), "a job is waited for")
        act()

    threading.Thread(target=run).start()


def test_a_wait_ends_with_the_first_later_version_or_with_the_job(bench: Bench) -> None:
    job_id = bench.submit().job_id
    once_waiting(bench, bench.start)
    assert bench.follower.wait(job_id, after=1, timeout=TIMEOUT_SECONDS).version == 2
    once_waiting(bench, lambda: bench.finish(job_id))
    assert bench.follower.wait(job_id, after=None, timeout=TIMEOUT_SECONDS).status.terminal


def test_a_wait_that_times_out_returns_the_job_as_it_is(bench: Bench) -> None:
    job_id = bench.submit().job_id
    assert bench.follower.wait(job_id, after=1, timeout=0.05).version == 1
    with pytest.raises(JobNotFound):
        bench.follower.wait("nowhere", after=1, timeout=1)


def test_followers_end_when_the_process_stops(bench: Bench) -> None:
    following = bench.messages_of(bench.submit().job_id)
    following.next()
    bench.stopping = True
    assert following.rest() == []


# --- all of a user's jobs -----------------------------------------------------------------


def test_a_feed_resumes_from_any_position_without_loss_or_repeat(bench: Bench) -> None:
    bench.submit()
    following = bench.messages_of_alice()
    first = following.next()
    job_id = bench.start()
    bench.finish(job_id)
    bench.submit()
    messages = [first, *(following.next() for _ in range(3))]
    following.close()
    ids = [each.id or 0 for each in messages]
    assert ids == sorted(set(ids))
    for place in range(3):
        again = bench.messages_of_alice(after=ids[place])
        assert [again.next().id for _ in ids[place + 1 :]] == ids[place + 1 :]
        again.close()


def test_a_user_without_jobs_gets_a_position_to_resume_from(bench: Bench) -> None:
    following = bench.messages_of_alice()
    nothing = following.next()
    assert nothing.event == "position" and nothing.id
    following.close()
    bench.submit()
    again = bench.messages_of_alice(after=nothing.id)
    assert again.next().event == "update"
    again.close()


def test_an_unknown_position_is_reset(bench: Bench) -> None:
    bench.submit()
    following = bench.messages_of_alice(after=5)
    assert [following.next().event, following.next().event] == ["reset", "update"]
    following.close()
