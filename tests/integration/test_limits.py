"""Jobs over a limit wait, other jobs run before them, and no waiting job is forgotten."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.job import Job
from jobs.engine.states import Priority
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import Harness
from tests.integration.host import COMPLETED, SERVED_SECONDS, Host
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("examined")

DEATH = Death("signal SIGKILL")


@pytest.fixture
def host(harness: Harness) -> Host:
    return Host(harness, user_limit=2)


def submitted(harness: Harness, count: int, name: str = "noop", **arguments: Any) -> list[Job]:
    return [harness.submit(name, **arguments) for _ in range(count)]


def reasons(harness: Harness, jobs: list[Job]) -> list[str | None]:
    return [harness.client.find(job.job_id).pending_reason for job in jobs]


def scripts_run(harness: Harness) -> int:
    read: Any = harness.connection.info
    return int(read("commandstats")["cmdstat_fcall"]["calls"])


def keys_of_limits(harness: Harness) -> list[Any]:
    keys: Any = harness.connection.keys
    return [*keys("wh:slots:*"), *keys("wh:limited*")]


def test_a_burst_of_one_user_does_not_delay_the_job_of_another(harness: Harness, host: Host) -> None:
    burst = submitted(harness, 500)
    assert [host.claims().job_id, host.claims().job_id] == [burst[0].job_id, burst[1].job_id]
    bobs = harness.submit("noop", user_id="bob")

    assert host.claims().job_id == bobs.job_id
    assert host.claim() is None
    assert set(reasons(harness, burst[2:])) == {"limited"}
    assert harness.connection.llen("rq:queue:default") == 0


def test_jobs_over_the_limit_run_in_the_order_of_submission(harness: Harness, host: Host) -> None:
    jobs = submitted(harness, 6)
    running = [host.claims(), host.claims()]
    order = [claim.job_id for claim in running]
    assert host.claim() is None
    while running:
        host.finish(running.pop(0))
        if claim := host.claim():
            running.append(claim)
            order.append(claim.job_id)
            assert host.claim() is None

    assert order == [job.job_id for job in jobs]
    assert keys_of_limits(harness) == []


def test_a_limited_job_shows_this_in_its_resource_and_its_history(harness: Harness, host: Host) -> None:
    *_, third = submitted(harness, 3)
    running = host.claims()
    host.claims()
    host.claim()
    waiting = harness.client.find(third.job_id)
    assert (waiting.status, waiting.pending_reason, waiting.queue_position) == ("pending", "limited", None)

    host.finish(running)
    put_back = harness.client.find(third.job_id)
    assert (put_back.pending_reason, put_back.version) == ("queued", 3)
    events = [(event["type"], event.get("reason")) for event in harness.client.events(third.job_id)]
    assert events == [("job_queued", None), ("job_queued", "limited"), ("job_queued", "queued")]


def test_a_finish_puts_back_the_job_of_highest_priority_first(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    low, default, high = (
        harness.submit("noop", options={"priority": priority})
        for priority in (Priority.LOW, Priority.DEFAULT, Priority.HIGH)
    )
    running = host.claims()
    assert running.job_id == high.job_id
    assert host.claim() is None

    host.finish(running)
    running = host.claims()
    assert running.job_id == default.job_id
    host.finish(running)
    assert host.claims().job_id == low.job_id


@pytest.mark.parametrize(
    "outcome",
    [
        COMPLETED,
        Outcome(OutcomeKind.FAILED, "no", "ValueError"),
        Outcome(OutcomeKind.CANCELLED),
        Outcome(OutcomeKind.RETRYING, "later", "ConnectionError", delay_seconds=60),
    ],
    ids=lambda outcome: outcome.kind,
)
def test_an_ended_job_frees_its_slot(harness: Harness, outcome: Outcome) -> None:
    host = Host(harness, user_limit=1)
    _first, second = submitted(harness, 2)
    running = host.claims()
    assert host.claim() is None

    host.finish(running, outcome)

    assert host.claims().job_id == second.job_id


def test_a_job_whose_worker_died_runs_next_and_keeps_its_slot(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    first, second = submitted(harness, 2)
    running = host.claims()
    assert host.claim() is None

    assert host.finish(running, after_death(running.order.deaths, DEATH)) == "resumed"
    Scheduler(harness.store).make_room()
    assert reasons(harness, [first, second]) == ["queued", "limited"]

    again = host.claims()
    assert again.job_id == first.job_id
    assert host.claim() is None
    host.finish(again)
    assert host.claims().job_id == second.job_id


def test_the_third_death_of_a_job_frees_its_slot(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    _first, second = submitted(harness, 2)
    claims = (host.claims() for _ in range(3))
    ends = [host.finish(claim, after_death(claim.order.deaths, DEATH)) for claim in claims]
    assert ends == ["resumed", "resumed", "failed"]

    assert host.claims().job_id == second.job_id


def test_a_cancelled_job_frees_its_slot_and_does_not_wait(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    _first, second, third, fourth = submitted(harness, 4)
    running = host.claims()
    assert host.claim() is None

    assert harness.client.cancel(second.job_id).status == "cancelled"
    host.finish(running)
    # The third has been put back, and keeps its slot while it is in the queue.
    assert harness.client.find(third.job_id).pending_reason == "queued"
    assert harness.client.cancel(third.job_id).status == "cancelled"

    assert host.claims().job_id == fourth.job_id


def test_a_cancelled_limited_job_can_be_retried(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    _first, second = submitted(harness, 2)
    running = host.claims()
    assert host.claim() is None
    harness.client.cancel(second.job_id)

    harness.client.retry(second.job_id)

    assert host.claim() is None
    host.finish(running)
    assert host.claims().job_id == second.job_id


def test_the_limit_of_a_job_type_applies_to_all_users_together(harness: Harness, tmp_path: Path) -> None:
    host = Host(harness, user_limit=0)
    mine, bobs = (harness.submit("one-at-a-time", path=str(tmp_path), user_id=user) for user in ("alice", "bob"))
    other = harness.submit("noop")
    running = host.claims()
    assert (running.job_id, host.claims().job_id) == (mine.job_id, other.job_id)
    assert reasons(harness, [bobs]) == ["limited"]

    host.finish(running)

    assert host.claims().job_id == bobs.job_id


def test_a_job_with_two_limits_waits_for_both_and_blocks_neither(harness: Harness, tmp_path: Path) -> None:
    host = Host(harness, user_limit=1)
    bobs_lone = harness.submit("one-at-a-time", path=str(tmp_path), user_id="bob")
    plain = harness.submit("noop")
    alices_lone = harness.submit("one-at-a-time", path=str(tmp_path))
    last = harness.submit("noop")
    first, second = host.claims(), host.claims()
    assert [first.job_id, second.job_id] == [bobs_lone.job_id, plain.job_id]
    assert host.claim() is None

    host.finish(second)  # room for alice, but not for the type: her next plain job runs first
    third = host.claims()
    assert third.job_id == last.job_id
    host.finish(first)  # room for the type, but not for alice
    assert host.claim() is None
    host.finish(third)
    fourth = host.claims()
    assert fourth.job_id == alices_lone.job_id
    host.finish(fourth)
    assert keys_of_limits(harness) == []


def test_waiting_jobs_run_when_the_limit_is_raised(harness: Harness) -> None:
    jobs = submitted(harness, 5)
    host = Host(harness, user_limit=1)
    host.claims()
    assert host.claim() is None

    raised = Host(harness, user_limit=3, name="raised")
    assert raised.claim() is None
    Scheduler(harness.store).make_room()

    assert [raised.claims().job_id, raised.claims().job_id] == [jobs[1].job_id, jobs[2].job_id]
    assert raised.claim() is None


def test_the_slot_of_a_deleted_job_is_freed(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    first, second = submitted(harness, 2)
    running = host.claims()
    assert host.claim() is None
    harness.store.remove(first.job_id, "alice")
    harness.connection.delete(f"rq:job:{first.job_id}")

    Scheduler(harness.store).make_room()

    assert host.claims().job_id == second.job_id
    assert host.finish(running) is None
    harness.connection.zrem("wh:leases", f"{first.job_id}:{running.execution}")
    harness.forget_everything()


def test_a_job_whose_only_worker_died_does_not_keep_others_from_running(harness: Harness) -> None:
    host, able = Host(harness, user_limit=1), Host(harness, user_limit=1, name="able")
    able.store.announce("able", ("gpu",), ("default@gpu",), SERVED_SECONDS)
    on_gpu = harness.submit("on-gpu")
    claim = able.store.claim("able-worker", "e", ("default@gpu",))
    assert isinstance(claim, Claim)
    others = submitted(harness, 2)
    assert host.claim() is None

    harness.connection.delete("wh:served:default@gpu")
    host.finish(claim, after_death(0, DEATH))
    Scheduler(harness.store).make_room()
    assert host.claims().job_id == others[0].job_id
    assert harness.client.find(on_gpu.job_id).status == "pending"


def test_a_job_whose_workers_are_busy_does_not_keep_others_from_running(harness: Harness) -> None:
    host, able = Host(harness, user_limit=1), Host(harness, user_limit=1, name="able")
    able.store.announce("able", ("gpu",), ("high@gpu",), SERVED_SECONDS)
    running, *others = submitted(harness, 3)
    first = host.claims()
    on_gpu = harness.submit("on-gpu", options={"priority": Priority.HIGH})
    assert able.store.claim("able-worker", "e", ("high@gpu",)) is None
    assert host.claim() is None
    host.finish(first)
    assert reasons(harness, [on_gpu, *others]) == ["queued", "limited", "limited"]

    harness.connection.hincrbyfloat(f"rq:job:{on_gpu.job_id}", "ready_at", -3)
    for _ in range(2):
        Scheduler(harness.store).make_room()
    assert reasons(harness, [on_gpu, *others]) == ["queued", "queued", "limited"]
    assert host.claims().job_id == others[0].job_id
    assert able.store.claim("able-worker", "e", ("high@gpu",)) is None
    assert harness.client.find(running.job_id).status == "completed"


def test_limited_jobs_are_set_aside_in_bounded_steps(harness: Harness, host: Host) -> None:
    submitted(harness, 350)
    host.claims()
    host.claims()
    before = scripts_run(harness)

    assert host.claim() is None

    assert harness.connection.llen("rq:queue:default") == 0
    assert scripts_run(harness) - before == 4  # 348 jobs, and each step sets aside 100 of them at most


def test_a_deleted_user_leaves_no_waiting_jobs(harness: Harness) -> None:
    host = Host(harness, user_limit=1)
    submitted(harness, 3)
    running = host.claims()
    assert host.claim() is None

    harness.connection.delete("wh:user:alice")
    harness.client.delete_all("alice")
    host.finish(running)
    Scheduler(harness.store).make_room()

    assert keys_of_limits(harness) == []


# --- on real workers ------------------------------------------------------------------


def here(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if not each.name.startswith("ended-")]


def test_two_jobs_of_a_type_limited_to_one_never_run_at_once(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers(WORKERS="3")
    first = harness.submit("one-at-a-time", path=str(tmp_path), seconds=30)
    waiting = [harness.submit("one-at-a-time", path=str(tmp_path), seconds=0.1) for _ in range(5)]
    harness.running(first)
    eventually(lambda: set(reasons(harness, waiting)) == {"limited"}, "the others are set aside")
    (mark,) = eventually(lambda: here(tmp_path), "the first runs")
    assert harness.run("noop", user_id="bob").status == "completed"

    read: Any = harness.connection.hget
    worker = read(f"rq:job:{first.job_id}", "worker_name").decode()
    pid = int(read(f"rq:worker:{worker}", "pid"))
    mark.unlink()
    os.kill(pid, signal.SIGKILL)
    harness.until(first, lambda now: now.resumed == 1 and now.status == "running")
    harness.client.cancel(first.job_id)

    for job in waiting:
        assert harness.ended(job).status == "completed"
        assert len(here(tmp_path)) <= 2  # the mark of the cancelled job, and that of a running one
    assert keys_of_limits(harness) == []


def test_another_user_s_job_starts_while_a_burst_waits(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers(WORKERS="3", MAX_RUNNING_JOBS_PER_USER="2")
    burst = [harness.submit("any-number-at-once", path=str(tmp_path), seconds=1.0) for _ in range(500)]
    eventually(lambda: len(here(tmp_path)) == 2, "two of them run")
    assert harness.run("noop", user_id="bob").status == "completed"
    assert harness.client.find(burst[-1].job_id).pending_reason == "limited"
    eventually(
        lambda: len([each for each in tmp_path.iterdir() if each.name.startswith("ended-")]) > 6, "more jobs have run"
    )
    assert len(here(tmp_path)) <= 2
