"""Schedules on a real broker, with schedulers that race and are killed."""

from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.schedule import CatchUp, Overlap, Plan, Schedule
from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.ticks import Ticks
from jobs.engine.settings import Settings
from jobs.engine.states import Status
from tests.integration.harness import Harness
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("cleared")

#: Not due while a test runs.
RARE = "0 0 1 1 *"


@pytest.fixture
def schedules(harness: Harness) -> Schedules:
    return Schedules(harness.client)


def run_ticks_forever(settings: Settings) -> None:
    """Do what the scheduler of a host does about schedules."""
    ticks = Ticks(Client(connect(settings), settings, Catalogue.discover(settings.job_packages)))
    while True:
        ticks.run_due()


def start_scheduler(harness: Harness) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=run_ticks_forever, args=(harness.settings,))
    process.start()
    return process


def due_now(harness: Harness, schedule: Schedule) -> None:
    harness.connection.zadd("wh:schedules", {schedule.schedule_id: int(time.time()) - 1})


def test_killed_and_racing_schedulers_start_one_job_for_each_tick(harness: Harness, schedules: Schedules) -> None:
    made = [schedules.create("alice", Plan("noop", {}, "* * * * *", catch_up=CatchUp.ALL)) for _ in range(15)]
    first = int(time.time()) // 60 * 60 - 59 * 60
    harness.connection.zadd("wh:schedules", {each.schedule_id: first for each in made})

    def stored() -> int:
        return harness.client.counts("alice")[Status.PENDING]

    for wanted in (1, 200, 400, 600):
        racing = [start_scheduler(harness) for _ in range(2)]
        eventually(lambda: stored() >= wanted, f"{wanted} jobs are stored")  # noqa: B023
        for process in racing:
            process.kill()
            process.join()
    while harness.client.store.schedules.due(1)[1]:
        Ticks(harness.client).run_due()

    following = [schedules.find(each.schedule_id).next_run_at for each in made]
    ticks = [(moment - datetime.fromtimestamp(first, UTC)).total_seconds() / 60 for moment in following if moment]
    assert len(ticks) == 15
    assert min(ticks) >= 60
    assert stored() == sum(ticks)
    for each in made:
        runs = schedules.runs(each.schedule_id)
        assert {run.outcome for run in runs} == {"started"}
        assert len({run.job_id for run in runs}) == len(runs) == 20


def test_a_tick_that_waits_starts_its_job_soon_after_the_earlier_one_has_ended(
    harness: Harness, schedules: Schedules, tmp_path: Path
) -> None:
    harness.start_workers(WORKERS="2")
    harness.start_workers()
    plan = Plan("wait-for-file", {"path": str(tmp_path / "go")}, RARE, overlap=Overlap.WAIT)
    schedule = schedules.create("alice", plan)
    for count in (1, 2, 3):
        due_now(harness, schedule)
        eventually(lambda: len(schedules.runs(schedule.schedule_id)) == count, "the tick is decided on")  # noqa: B023
    (tmp_path / "go").touch()
    eventually(lambda: harness.client.counts("alice")[Status.COMPLETED] == 2, "both jobs have ended")

    runs = schedules.runs(schedule.schedule_id)
    assert sorted(run.outcome for run in runs) == ["skipped", "started", "started"]
    earlier, later = sorted(
        (harness.client.find(run.job_id) for run in runs if run.job_id), key=lambda job: str(job.created_at)
    )
    assert earlier.completed_at and later.created_at
    assert 0 <= (later.created_at - earlier.completed_at).total_seconds() < 5


def test_a_pause_lasts_over_a_restart_and_ends_by_itself(harness: Harness, schedules: Schedules) -> None:
    schedule = schedules.create("alice", Plan("noop", {}, RARE))
    due_now(harness, schedule)
    changes = ScheduleChanges(harness.client)
    changes.pause(schedule.schedule_id, "alice", None, None)
    harness.end(harness.start_workers())
    harness.start_workers()
    assert harness.run("noop").status == "completed"
    assert schedules.find(schedule.schedule_id).last_job_id is None

    changes.edit(schedule.schedule_id, {"cron": "* * * * *"})
    until = datetime.fromtimestamp(int(time.time()) + 1, UTC)
    paused = changes.pause(schedule.schedule_id, "alice", None, until)
    assert paused.next_run_at and 0 <= (paused.next_run_at - until).total_seconds() < 60
    harness.connection.zadd("wh:schedules", {schedule.schedule_id: int(until.timestamp())})  # as if a tick fell on it
    eventually(lambda: schedules.find(schedule.schedule_id).last_job_id, "it runs after the pause")
    assert schedules.find(schedule.schedule_id).paused is None
