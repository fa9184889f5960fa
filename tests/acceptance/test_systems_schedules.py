"""What users control about their schedules, over HTTP. The tests move the next tick back, so that it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from jobs.engine.broker.connection import connect
from jobs.engine.settings import Settings
from jobs.engine.times import read_time
from tests.acceptance.instance import Api, Instance, Resource
from tests.waiting import eventually

#: Not due while a test runs.
RARE = "0 0 1 1 *"

#: Moves the next tick of a schedule.
MoveTick = Callable[[Resource, datetime], None]


@pytest.fixture
def move_tick(instance: Instance) -> Iterator[MoveTick]:
    with closing(connect(Settings(data_dir=instance.data_dir))) as connection:
        yield lambda schedule, tick: _set(connection, schedule["schedule_id"], tick)


def _set(connection: object, schedule_id: str, tick: datetime) -> None:
    connection.zadd("wh:schedules", {schedule_id: int(tick.timestamp())})  # type: ignore[attr-defined]


def created(alice: Api, job_type: str = "noop", cron: str = RARE, **fields: object) -> Resource:
    fields.setdefault("params", {})
    return dict(alice.post("/schedules", {"job_type": job_type, "cron": cron, **fields}, status=201))


def found(alice: Api, schedule: Resource) -> Resource:
    return dict(alice.get(f"/schedules/{schedule['schedule_id']}"))


def runs(alice: Api, schedule: Resource) -> list[Resource]:
    return list(alice.get(f"/schedules/{schedule['schedule_id']}/runs")["runs"])


def outcomes(alice: Api, schedule: Resource) -> list[str]:
    return [run["outcome"] for run in runs(alice, schedule)]


def until_outcomes(alice: Api, schedule: Resource, wanted: list[str]) -> None:
    eventually(lambda: sorted(outcomes(alice, schedule)) == sorted(wanted), f"the ticks are {wanted}")


def half_an_hour_ago() -> datetime:
    """Return a whole minute, which a line for every hour can have."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)


def test_a_schedule_is_edited_paused_resumed_and_run_now(alice: Api, move_tick: MoveTick) -> None:
    schedule = created(alice)
    address = f"/schedules/{schedule['schedule_id']}"
    edited = alice.call("PATCH", address, {"cron": "0 4 * * *", "timezone": "Europe/Berlin", "overlap": "skip"})
    assert (edited["cron"], edited["overlap"], edited["catch_up"]) == ("0 4 * * *", "skip", "one")
    assert read_time(edited["next_run_at"]) - datetime.now(UTC) <= timedelta(days=1, hours=1)

    paused = alice.call("PUT", f"{address}/pause", {"reason": "Holidays"})
    assert (paused["paused"]["by"], paused["paused"]["reason"]) == (alice.user_id, "Holidays")
    assert (paused["paused"]["until"], paused["next_run_at"]) == (None, None)
    job = alice.post(f"{address}/run", status=202)
    assert alice.ended(job)["status"] == "completed"
    assert [(run["outcome"], run["job_id"]) for run in runs(alice, schedule)] == [("manual", job["job_id"])]

    resumed = alice.delete(f"{address}/pause")
    assert (resumed["paused"], resumed["next_run_at"]) == (None, edited["next_run_at"])
    move_tick(schedule, datetime.now(UTC) - timedelta(seconds=1))
    until_outcomes(alice, schedule, ["started", "manual"])
    later = found(alice, schedule)
    assert later["last_job_id"] == next(run["job_id"] for run in runs(alice, schedule) if run["outcome"] == "started")
    assert later["next_run_at"] == edited["next_run_at"]


def test_a_tick_overlaps_an_earlier_job_as_the_schedule_says(alice: Api, move_tick: MoveTick) -> None:
    made = {word: created(alice, "sleep", params={"seconds": 60}, overlap=word) for word in ("allow", "skip", "wait")}
    earlier = {word: alice.post(f"/schedules/{each['schedule_id']}/run", status=202) for word, each in made.items()}
    for each in made.values():
        move_tick(each, datetime.now(UTC) - timedelta(seconds=1))
    for word, outcome in (("allow", "started"), ("skip", "skipped"), ("wait", "waiting")):
        until_outcomes(alice, made[word], [outcome, "manual"])

    assert alice.http.delete(f"/jobs/{earlier['wait']['job_id']}").status_code in (200, 202)
    until_outcomes(alice, made["wait"], ["started", "manual"])
    for job in alice.get("/jobs", params={"job_type": "sleep"})["jobs"]:
        assert alice.http.delete(f"/jobs/{job['job_id']}").status_code in (200, 202, 409)


@pytest.mark.parametrize(
    ("catch_up", "wanted"),
    [
        ("none", ["missed"] * 5),
        ("one", ["started", *["missed"] * 4]),
        ("all", ["started"] * 5),
    ],
)
def test_ticks_that_were_missed_are_caught_up_as_the_schedule_says(
    alice: Api, move_tick: MoveTick, catch_up: str, wanted: list[str]
) -> None:
    last = half_an_hour_ago()
    schedule = created(alice, cron=f"{last.minute} * * * *", catch_up=catch_up)
    move_tick(schedule, last - timedelta(hours=4))
    until_outcomes(alice, schedule, wanted)
    assert outcomes(alice, schedule) == wanted
    assert [read_time(run["due_at"]) for run in runs(alice, schedule)] == [last - timedelta(hours=n) for n in range(5)]
    assert found(alice, schedule)["next_run_at"] == schedule["next_run_at"]
    for run in runs(alice, schedule):
        assert (run["job_id"] is not None) == (run["outcome"] == "started")


def test_the_history_has_the_last_twenty_ticks(alice: Api, move_tick: MoveTick) -> None:
    last = half_an_hour_ago()
    schedule = created(alice, cron=f"{last.minute} * * * *", catch_up="all")
    move_tick(schedule, last - timedelta(hours=24))

    def newest_is_recorded() -> bool:
        ticks = runs(alice, schedule)
        return bool(ticks) and read_time(ticks[0]["due_at"]) == last

    eventually(newest_is_recorded, "all ticks are decided on")
    ticks = runs(alice, schedule)
    assert [read_time(run["due_at"]) for run in ticks] == [last - timedelta(hours=n) for n in range(20)]
    assert len({run["job_id"] for run in ticks}) == 20
    assert len(alice.get("/jobs", params={"job_type": "noop"})["jobs"]) == 25
