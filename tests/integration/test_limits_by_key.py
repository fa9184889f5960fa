"""Limits by key: how many jobs of a key run at once, and how many start in a period, counted by the jobs themselves."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.job import Job
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.submission import Submission
from jobs.engine.states import PendingReason
from jobs.engine.times import read_time
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import Harness, alive
from tests.integration.host import Host
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("examined")


@pytest.fixture
def host(harness: Harness) -> Host:
    return Host(harness)


def submit(harness: Harness, key: str, name: str = "one-for-each-key", user_id: str = "alice", **options: Any) -> Job:
    params = {"path": options.pop("path", ""), "key": key, "seconds": options.pop("seconds", 0.0)}
    return harness.client.submit(Submission(harness.catalogue.find(name), params, user_id, **options)).job


def find(harness: Harness, job: Job) -> Job:
    return harness.client.find(job.job_id)


def is_back(harness: Harness) -> bool:
    try:
        return bool(harness.connection.ping())
    except redis.exceptions.ConnectionError:
        return False


def keys_of_limits(harness: Harness) -> list[Any]:
    keys: Any = harness.connection.keys
    return [each for form in ("wh:slots:*", "wh:limited*", "wh:called:*", "wh:room") for each in keys(form)]


def records(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return when the jobs of each key began and ended, as they wrote it down themselves."""
    found = defaultdict(list)
    ledger = path / "ledger"
    for line in ledger.read_text().splitlines() if ledger.exists() else ():
        key, began, ended, _job = line.split(" ")
        found[key].append((float(began), float(ended)))
    return {key: sorted(times) for key, times in found.items()}


def has_run(path: Path, count: int) -> bool:
    return len(records(path).get("a", ())) >= count


def most_in_a_window(starts: list[float], seconds: float) -> int:
    return max(sum(first <= start < first + seconds for start in starts) for first in starts)


# --- running ----------------------------------------------------------------------------


def test_each_key_has_a_limit_of_its_own(harness: Harness, host: Host):
    first, second, other = (submit(harness, key) for key in ("a", "a", "b"))
    running = host.claims()
    assert (running.job_id, host.claims().job_id, host.claim()) == (first.job_id, other.job_id, None)
    waiting = find(harness, second)
    assert waiting.pending_reason is PendingReason.LIMITED
    assert waiting.limited_by == {"limit": "running=1", "key": "key=a", "free_at": None}

    host.finish(running)

    assert find(harness, second).limited_by is None
    assert host.claims().job_id == second.job_id


def test_a_dead_holder_s_place_is_free_when_its_job_is_freed(harness: Harness, host: Host):
    first, second = submit(harness, "a"), submit(harness, "a")
    running = host.claims()
    assert host.claim() is None
    host.finish(running, after_death(0, Death("signal SIGKILL")))
    again = host.claims()
    assert again.job_id == first.job_id  # it was the next to run
    assert host.claim() is None
    host.finish(again)
    last = host.claims()
    assert last.job_id == second.job_id
    host.finish(last)
    assert keys_of_limits(harness) == []


def test_a_cancelled_job_that_was_called_back_gives_way_to_the_next(harness: Harness, host: Host):
    submit(harness, "a")
    second, third = submit(harness, "a"), submit(harness, "a")
    running = host.claims()
    assert host.claim() is None
    host.finish(running)
    harness.client.cancel(second.job_id)

    assert host.claims().job_id == third.job_id


def test_a_free_place_calls_back_one_job(harness: Harness, host: Host):
    _first, *others = [submit(harness, "a") for _ in range(4)]
    running = host.claims()
    assert host.claim() is None
    host.finish(running)
    reasons = [find(harness, job).pending_reason for job in others]
    assert reasons == [PendingReason.QUEUED, PendingReason.LIMITED, PendingReason.LIMITED]


def test_jobs_in_a_paused_queue_do_not_keep_others_from_running(harness: Harness, host: Host):
    waiting = [submit(harness, "a") for _ in range(5)]
    high = submit(harness, "a", priority="high")
    claim = host.claims()
    assert claim.job_id == high.job_id
    low = submit(harness, "a", priority="low")
    assert host.claim() is None
    harness.connection.hset("wh:control", "queue:default", '{"at": "2030-01-31T12:00:00Z", "ends": 9999999999}')
    host.finish(claim)
    scheduler = Scheduler(harness.store)
    scheduler.make_room()
    scheduler.make_room()

    claim = host.claims()
    assert claim.job_id == low.job_id
    assert {find(harness, job).pending_reason for job in waiting} == {PendingReason.PAUSED}

    harness.connection.delete("wh:control")
    host.finish(claim)
    for job in waiting:
        claim = host.claims()
        assert claim.job_id == job.job_id
        host.finish(claim)


def test_ten_thousand_waiting_jobs_of_a_key_do_not_delay_another_key(harness: Harness, host: Host):
    harness.use(max_active_jobs_per_user=100_000)
    kind = harness.catalogue.find("one-for-each-key")
    many = [Submission(kind, {"path": "", "key": "a"}, "alice") for _ in range(10_000)]
    for start in range(0, 10_000, 1_000):
        submit_batch(harness.client, NewGroup("batch", "alice"), many[start : start + 1_000])
    other = submit(harness, "b")
    host.claims()

    # The broker has set 9,999 jobs aside, once, in a bit more than half a second of its time.
    assert host.claims().job_id == other.job_id
    harness.use()


# --- rates ------------------------------------------------------------------------------


def test_a_rate_is_counted_for_each_key(harness: Harness, host: Host):
    for _ in range(4):
        submit(harness, "a", "three-a-second")
    last = submit(harness, "a", "three-a-second")
    other = submit(harness, "b", "three-a-second")
    began = time.time()
    for _ in range(3):
        host.finish(host.claims())
    assert host.claims().job_id == other.job_id
    assert host.claim() is None
    waiting = find(harness, last).limited_by
    assert waiting is not None
    assert (waiting["limit"], waiting["key"]) == ("rate=3/second", "key=a")
    assert waiting["free_at"] is not None
    assert began + 1 < read_time(waiting["free_at"]).timestamp() < time.time() + 1.5

    next_claim = eventually(host.claim, "the window has passed")

    assert time.time() - began > 1.25
    assert eventually(host.claim, "the next place is free").job_id == last.job_id
    host.finish(next_claim)


def test_the_windows_of_a_rate_are_kept_over_a_restart_of_the_broker(harness: Harness, host: Host):
    jobs = [submit(harness, "a", "three-a-second") for _ in range(4)]
    began = time.time()
    for _ in range(3):
        host.finish(host.claims())
    assert host.claim() is None
    os.kill(harness.broker.pid or 0, signal.SIGKILL)
    eventually(lambda: is_back(harness), "the broker is back")

    assert eventually(host.claim, "the window has passed").job_id == jobs[3].job_id
    assert time.time() - began > 1.25


def test_a_job_with_a_rate_starts_again_within_the_rate(harness: Harness, host: Host):
    job = submit(harness, "a", "three-a-second")
    for _ in range(2):
        assert host.finish(host.claims(), after_death(0, Death("signal SIGKILL"))) == "resumed"
    assert host.finish(host.claims(), Outcome(OutcomeKind.RESUMED, reason="shutdown")) == "resumed"
    assert host.claim() is None
    assert find(harness, job).pending_reason is PendingReason.LIMITED
    assert eventually(host.claim, "the window has passed").job_id == job.job_id


def test_a_job_has_twice_the_time_to_begin_each_time_it_is_put_back(harness: Harness, host: Host):
    submit(harness, "a", "three-a-second")
    first = host.claims()
    host.finish(first, Outcome(OutcomeKind.RESUMED, reason="too_late"))
    second = host.claims()
    assert (first.order.start_seconds, second.order.start_seconds) == (0.25, 0.5)
    assert submit(harness, "x").limited_by is None
    assert host.claims().order.start_seconds is None


# --- together ---------------------------------------------------------------------------


def test_a_job_takes_a_place_of_all_its_limits_or_of_none(harness: Harness):
    host = Host(harness, user_limit=1)
    mine = submit(harness, "a", "limited-in-three-ways")
    bobs = submit(harness, "a", "limited-in-three-ways", user_id="bob")
    waiting = submit(harness, "b", "limited-in-three-ways")
    running = [host.claims(), host.claims()]
    assert [each.job_id for each in running] == [mine.job_id, bobs.job_id]
    assert host.claim() is None
    assert find(harness, waiting).limited_by == {"limit": "running=1", "key": "user=alice", "free_at": None}
    assert not harness.connection.exists("wh:slots:type:limited-in-three-ways|key=b,user=alice")
    assert harness.connection.scard("wh:slots:type:limited-in-three-ways") == 2

    host.finish(running[0])
    last = host.claims()
    assert last.job_id == waiting.job_id
    host.finish(last)
    host.finish(running[1])
    assert keys_of_limits(harness) == []


def test_a_waiting_job_with_a_newer_key_waits_for_the_other_limit(harness: Harness, host: Host):
    kind = harness.catalogue.find("newest-for-each-key")

    def newest(key: str, name: str) -> Job:
        return harness.client.submit(Submission(kind, {"key": key, "name": name}, "alice")).job

    newest("a", "1")
    host.claims()
    waiting = newest("a", "2")
    assert host.claim() is None
    assert find(harness, waiting).limited_by is not None

    now = newest("b", "2")

    assert (now.job_id, now.limited_by, now.pending_reason) == (waiting.job_id, None, PendingReason.QUEUED)
    assert host.claims().job_id == waiting.job_id
    other = newest("b", "3")
    assert host.claim() is None
    assert find(harness, other).pending_reason is PendingReason.LIMITED


def test_jobs_of_an_earlier_version_keep_their_limit(harness: Harness, host: Host, tmp_path: Path):
    """They have `max_running` and, if they were put back, `slots`."""
    first = harness.submit("one-at-a-time", path=str(tmp_path))
    second = harness.submit("one-at-a-time", path=str(tmp_path))
    harness.connection.hset(f"rq:job:{first.job_id}", "slots", "type:one-at-a-time")
    harness.connection.sadd("wh:slots:type:one-at-a-time", first.job_id)
    running = host.claims()
    assert (running.job_id, host.claim()) == (first.job_id, None)
    assert find(harness, second).limited_by == {"limit": "running=1", "key": None, "free_at": None}
    host.finish(running)
    assert host.claims().job_id == second.job_id


def test_a_waiting_job_with_an_unreadable_limit_does_not_stop_the_others(harness: Harness, host: Host):
    submit(harness, "a")
    broken, last = submit(harness, "a"), submit(harness, "a")
    running = host.claims()
    assert host.claim() is None
    harness.connection.hset(f"rq:job:{broken.job_id}", "limits", "[1]")

    assert host.finish(running) == "completed"

    assert eventually(host.claim, "the next one is called back").job_id == last.job_id
    assert find(harness, broken).error_type == "UnreadableRecord"


# --- on real workers --------------------------------------------------------------------


def test_workers_keep_every_window_of_a_rate_while_they_are_killed(harness: Harness, tmp_path: Path):
    harness.start_workers(WORKERS="2")
    jobs = [submit(harness, key, "three-a-second", path=str(tmp_path)) for key in "ab" * 8]
    for count in (2, 4, 6):
        eventually(partial(has_run, tmp_path, count), "more jobs have run")
        os.kill(next(pid for pid in harness.worker_pids() if alive(pid)), signal.SIGKILL)
    for job in jobs:
        assert harness.ended(job, timeout=60).status == "completed"
    for starts in ([began for began, _ended in times] for times in records(tmp_path).values()):
        assert most_in_a_window(starts, 1.0) <= 3
    assert keys_of_limits(harness) == []


def test_workers_never_run_two_jobs_of_a_key_at_once(harness: Harness, tmp_path: Path):
    harness.start_workers(WORKERS="3")
    jobs = [submit(harness, key, path=str(tmp_path), seconds=0.05) for key in "abc" * 8]
    for job in jobs:
        assert harness.ended(job, timeout=60).status == "completed"
    for times in records(tmp_path).values():
        assert len(times) == 8
        assert all(ended <= began for (_, ended), (began, _) in pairwise(times))
    assert keys_of_limits(harness) == []


def test_a_function_that_begins_too_late_for_its_rate_is_put_back(harness: Harness):
    harness.start_workers(WORKERS="1")
    job = harness.run("slow-to-begin", text="x")
    assert (job.status, job.result, job.attempt) == ("completed", "x", 1)
    assert job.resumed > 0
    reasons = [event.get("reason") for event in harness.client.events(job.job_id) if event["type"] == "job_resumed"]
    assert set(reasons) == {"too_late"}
