"""No worker takes a job of a paused queue or job type, and the first one starts within a second of the resume."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rq
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.job import Job
from jobs.engine.errors import QueueNotFound
from jobs.engine.operate.control import Control
from jobs.engine.operate.doctor import Doctor
from jobs.engine.operate.metrics import Metrics
from jobs.engine.operate.workers import workers
from tests.integration.harness import Harness
from tests.integration.host import COMPLETED, QUEUES, SERVED_SECONDS
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("examined")


@pytest.fixture
def control(harness: Harness) -> Control:
    # A job is called back only to a queue that workers serve.
    harness.store.announce("host", (), QUEUES, SERVED_SECONDS)
    return Control(harness.store)


def pause(control: Control, subject: str, until: datetime | None = None) -> None:
    kind, _, name = subject.partition(":")
    (control.pause_queue if kind == "queue" else control.pause_job_type)(name, "admin", None, until)


def end_pause(control: Control, subject: str) -> None:
    kind, _, name = subject.partition(":")
    (control.resume_queue if kind == "queue" else control.resume_job_type)(name)


def claim(harness: Harness, execution: str = "e1") -> Claim | None:
    found = harness.store.claim(f"host-{execution}", execution, QUEUES)
    assert found is None or isinstance(found, Claim)
    return found


def claims(harness: Harness, execution: str) -> str:
    found = claim(harness, execution)
    assert found
    harness.store.finish(found.job_id, execution, "", COMPLETED)
    return found.job_id


def reason(harness: Harness, job: Job) -> str | None:
    return harness.client.find(job.job_id).pending_reason


each_subject = pytest.mark.parametrize("subject", ["queue:default", "type:noop"])


@each_subject
def test_no_worker_takes_a_paused_job_and_others_run(harness: Harness, control: Control, subject: str) -> None:
    pause(control, subject)
    job = harness.submit("noop")
    other = harness.submit("echo", text="x", options={"priority": "low"})
    assert job.pending_reason == "paused"
    assert claims(harness, "e1") == other.job_id
    assert claim(harness, "e2") is None
    assert reason(harness, job) == "paused"

    end_pause(control, subject)
    assert reason(harness, job) in ("queued", "limited")
    assert claims(harness, "e3") == job.job_id


@each_subject
def test_jobs_start_in_order_after_a_pause(harness: Harness, control: Control, subject: str) -> None:
    before = [harness.submit("noop") for _ in range(2)]
    pause(control, subject)
    after = [harness.submit("noop") for _ in range(120)]
    assert claim(harness) is None
    assert Doctor(harness.store).examine() == []
    end_pause(control, subject)
    order = [claims(harness, f"e{number}") for number in range(15)]
    assert Doctor(harness.store).examine() == []
    order += [claims(harness, f"e{number}") for number in range(15, 122)]
    assert order == [job.job_id for job in (*before, *after)]
    assert claim(harness) is None
    assert not harness.connection.keys("wh:limited*")
    assert not harness.connection.exists("wh:room", "wh:control")


def test_jobs_are_called_back_a_few_at_a_time_after_a_pause(harness: Harness, control: Control) -> None:
    pause(control, "type:noop")
    jobs = [harness.submit("noop") for _ in range(30)]
    assert claim(harness) is None
    end_pause(control, "type:noop")
    assert claims(harness, "e1") == jobs[0].job_id
    assert [reason(harness, job) for job in jobs[1:]].count("queued") == 9


@each_subject
def test_a_running_job_finishes_and_its_retry_waits(harness: Harness, control: Control, subject: str) -> None:
    job = harness.submit("noop")
    assert claim(harness)
    pause(control, subject)
    harness.store.finish(job.job_id, "e1", "", Outcome(OutcomeKind.RETRYING, "no", "OSError", delay_seconds=0.05))
    eventually(lambda: harness.store.promote()[0], "the retry is due")
    assert claim(harness, "e2") is None
    assert reason(harness, job) == "paused"
    end_pause(control, subject)
    assert claims(harness, "e3") == job.job_id


@each_subject
def test_a_job_that_is_put_back_waits_with_its_checkpoint(harness: Harness, control: Control, subject: str) -> None:
    job, other = harness.submit("noop"), harness.submit("noop")
    assert claim(harness)
    pause(control, subject)
    harness.store.finish(job.job_id, "e1", "", Outcome(OutcomeKind.RESUMED, reason="shutdown"))
    assert claim(harness, "e2") is None
    end_pause(control, subject)
    assert [claims(harness, "e3"), claims(harness, "e4")] == [job.job_id, other.job_id]


@each_subject
def test_a_job_that_waits_for_a_pause_can_be_cancelled_and_retried(
    harness: Harness, control: Control, subject: str
) -> None:
    pause(control, subject)
    job = harness.submit("noop")
    assert claim(harness) is None
    assert harness.client.cancel(job.job_id).status == "cancelled"
    assert harness.client.retry(job.job_id).pending_reason == "paused"
    assert claim(harness) is None
    end_pause(control, subject)
    assert claims(harness, "e2") == job.job_id


@each_subject
def test_a_pause_ends_by_itself(harness: Harness, control: Control, subject: str) -> None:
    harness.start_workers()
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    pause(control, subject, until)
    job = harness.submit("noop")
    ended = harness.ended(job)
    assert ended.started_at
    assert 0 <= (ended.started_at - until).total_seconds() < 1 + ALLOWANCE_SECONDS
    eventually(lambda: not harness.connection.exists("wh:control"), "the pause is removed")


@each_subject
def test_a_pause_can_follow_at_once_on_the_end_of_another(harness: Harness, control: Control, subject: str) -> None:
    jobs = [harness.submit("noop") for _ in range(25)]
    pause(control, subject)
    assert claim(harness) is None
    end_pause(control, subject)
    order = [claims(harness, f"e{number}") for number in range(3)]
    pause(control, subject)
    assert claim(harness, "e3") is None
    assert {reason(harness, job) for job in jobs[3:]} == {"paused"}
    end_pause(control, subject)
    order += [claims(harness, f"e{number}") for number in range(4, 26)]
    assert order == [job.job_id for job in jobs]


@each_subject
def test_the_jobs_of_a_user_who_is_removed_leave_a_pause(harness: Harness, control: Control, subject: str) -> None:
    pause(control, subject)
    harness.submit("noop", user_id="bob")
    assert claim(harness) is None
    harness.client.delete_all("bob")
    assert claim(harness, "e2") is None
    end_pause(control, subject)
    assert claim(harness, "e3") is None
    assert not harness.connection.keys("rq:job:*")


@each_subject
def test_a_dependent_job_waits_for_the_pause_too(harness: Harness, control: Control, subject: str) -> None:
    first = harness.submit("echo", text="x", options={"priority": "low"})
    job = harness.submit("noop", options={"depends_on": (first.job_id,)})
    pause(control, subject)
    assert reason(harness, job) == "waiting"
    assert claims(harness, "e1") == first.job_id
    assert reason(harness, job) == "paused"
    assert claim(harness, "e2") is None
    end_pause(control, subject)
    assert claims(harness, "e3") == job.job_id


def test_a_limit_and_a_pause_hold_together(harness: Harness, control: Control) -> None:
    first, second, third = (harness.submit("one-at-a-time") for _ in range(3))
    assert claim(harness)
    assert claim(harness, "e2") is None
    pause(control, "type:one-at-a-time")
    assert reason(harness, second) == "paused"
    harness.store.finish(first.job_id, "e1", "", COMPLETED)
    assert harness.connection.llen("rq:queue:default") == 0
    assert claim(harness, "e3") is None

    end_pause(control, "type:one-at-a-time")
    assert claim(harness, "e4")
    assert claim(harness, "e5") is None
    assert reason(harness, third) == "limited"
    harness.store.finish(second.job_id, "e4", "", COMPLETED)
    assert claims(harness, "e6") == third.job_id


def test_a_job_that_waits_for_a_pause_holds_no_slot(harness: Harness, control: Control) -> None:
    job = harness.submit("one-at-a-time")
    assert claim(harness)
    pause(control, "type:one-at-a-time")
    harness.store.finish(job.job_id, "e1", "", Outcome(OutcomeKind.RESUMED, reason="shutdown"))
    assert claim(harness, "e2") is None
    assert not harness.connection.keys("wh:slots:*")
    end_pause(control, "type:one-at-a-time")
    assert claims(harness, "e3") == job.job_id


def test_a_paused_priority_includes_its_queues_with_needs(harness: Harness, control: Control) -> None:
    job = harness.submit("on-gpu")
    queues = ["default@gpu", "default"]
    pause(control, "queue:default")
    assert harness.store.claim("host-w", "e1", queues) is None
    assert reason(harness, job) == "paused"
    end_pause(control, "queue:default")
    pause(control, "queue:default@gpu")
    assert harness.store.claim("host-w", "e1", queues) is None
    end_pause(control, "queue:default@gpu")
    assert harness.store.claim("host-w", "e2", queues)
    harness.store.finish(job.job_id, "e2", "", COMPLETED)


def test_a_job_of_plain_rq_waits_in_a_paused_queue(harness: Harness, control: Control) -> None:
    pause(control, "queue:default")
    queue = rq.Queue("default", connection=harness.connection, serializer=JSONSerializer)
    enqueued: Any = queue.enqueue("tests.jobs_for_tests.behaviours.noop")
    harness.start_workers()
    assert harness.run("noop", options={"priority": "low"}).status == "completed"
    assert harness.client.find(enqueued.id).pending_reason == "paused"
    end_pause(control, "queue:default")
    eventually(lambda: enqueued.get_status() == "finished", "it runs")


@each_subject
def test_two_hosts_take_nothing_until_the_resume_and_start_within_a_second(
    harness: Harness, control: Control, subject: str
) -> None:
    harness.start_workers()
    harness.start_workers(WORKERS="2")
    pause(control, subject)
    jobs = [harness.submit("noop") for _ in range(30)]
    others = [harness.submit("echo", text="x", options={"priority": "low"}) for _ in range(20)]
    for job in others:
        harness.ended(job)
    assert {harness.client.find(job.job_id).attempt for job in jobs} == {0}

    resumed_at = datetime.now(UTC)
    end_pause(control, subject)
    started = [harness.ended(job).started_at for job in jobs]
    assert min(at for at in started if at) - resumed_at < timedelta(seconds=1 + ALLOWANCE_SECONDS)


@each_subject
def test_the_end_of_a_pause_wakes_an_idle_worker(harness: Harness, control: Control, subject: str) -> None:
    pause(control, subject)
    assert harness.store.wait_for_doorbell(["default"], 0.01) is None
    end_pause(control, subject)
    assert harness.store.wait_for_doorbell(["default"], 10) == "default"


@each_subject
def test_a_pause_survives_a_restart_of_broker_and_workers(
    harness: Harness, control: Control, subject: str, tmp_path: Path
) -> None:
    process = harness.start_workers()
    running = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    pause(control, subject)
    jobs = [harness.submit("noop") for _ in range(3)]
    os.kill(harness.broker.pid or 0, signal.SIGKILL)
    (tmp_path / "end").touch()
    assert harness.ended_after_outage(running).status == "completed"
    harness.end(process)
    harness.start_workers()
    low = harness.submit("echo", text="x", options={"priority": "low"})
    assert harness.ended_after_outage(low).status == "completed"
    assert {reason(harness, job) for job in jobs} == {"paused"}

    end_pause(control, subject)
    for job in jobs:
        assert harness.ended(job).attempt == 1


def test_the_metrics_show_paused_queues(harness: Harness, control: Control) -> None:
    pause(control, "queue:high")
    paused = {queue.name for queue in Metrics(harness.store).read().queues if queue.paused}
    assert paused == {"high"}


def test_rqs_suspension_is_honoured(harness: Harness) -> None:
    harness.start_workers()
    suspend(harness.connection)
    job = harness.submit("noop")
    assert job.pending_reason == "suspended"
    assert claim(harness) is None
    worker = next(iter(harness.connection.smembers("rq:workers")))
    eventually(lambda: harness.connection.hget(worker, "state") == b"suspended", "the worker says so")
    assert reason(harness, job) == "suspended"
    resume(harness.connection)
    assert harness.ended(job).status == "completed"


def test_a_suspended_worker_can_be_drained(harness: Harness) -> None:
    suspend(harness.connection)
    process = harness.start_workers()
    (worker,) = eventually(lambda: workers(harness.store), "it is listed")
    harness.store.drain(worker.name, draining=True)
    eventually(lambda: process.poll() is not None, "it ends")
    assert process.returncode == 0


def test_a_suspension_with_an_end_ends(harness: Harness) -> None:
    harness.start_workers()
    suspend(harness.connection, ttl=1)
    assert harness.run("noop").status == "completed"


def test_a_suspended_worker_that_is_stopped_ends(harness: Harness) -> None:
    suspend(harness.connection)
    process = harness.start_workers()
    process.send_signal(signal.SIGTERM)
    eventually(lambda: process.poll() is not None, "it ends")
    assert process.returncode == 0


# --- everything at once --------------------------------------------------------------------

PAUSED_AT_RANDOM = ("queue:high", "queue:default", "queue:default@gpu", "type:noop", "type:one-at-a-time-on-gpu")


def change_pauses(control: Control, random: Random) -> None:
    """Pause something that exists, or end some pauses."""
    subject = random.choice(PAUSED_AT_RANDOM)
    if random.random() < 0.5:
        with suppress(QueueNotFound):
            pause(control, subject)
    else:
        end_pauses(control, lambda: random.random() < 0.6)


def end_pauses(control: Control, chosen: Callable[[], bool] = lambda: True) -> None:
    for subject in control.pauses().by_subject:
        if chosen():
            end_pause(control, subject)


def kill_a_worker(harness: Harness, random: Random) -> None:
    if pids := harness.worker_pids():
        with suppress(ProcessLookupError):
            os.kill(random.choice(pids), signal.SIGKILL)


def test_no_job_is_lost_while_workers_die_and_pauses_come_and_go(harness: Harness, control: Control) -> None:
    random = Random(5)
    harness.start_workers(WORKER_CAN="gpu", WORKERS="2")
    harness.start_workers(WORKER_QUEUES="default,low")
    harness.start_workers(WORKER_ONLY="gpu,large")
    jobs = []
    for turn in range(50):
        for name in ("noop", "on-gpu", "on-large-gpu", "one-at-a-time-on-gpu", "come-back-to-gpu"):
            options = {"priority": random.choice(QUEUES), "delay_seconds": random.choice([None, None, 0.5])}
            jobs.append(harness.submit(name, options=options))
        change_pauses(control, random)
        if turn % 7 == 0:
            kill_a_worker(harness, random)
    end_pauses(control)
    assert {harness.ended(job).status for job in jobs} == {"completed"}
    left = ("wh:limited*", "wh:called*", "wh:slots*", "wh:room*", "wh:control")
    assert [key for pattern in left for key in harness.connection.keys(pattern)] == []
