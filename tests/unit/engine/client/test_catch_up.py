"""Which ticks start a job, when one or more are due."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.engine.client.catch_up import MAX_CAUGHT_UP, MAX_RECORDED, due_ticks
from jobs.engine.client.schedule import CatchUp, Plan, ticks_between

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def plan(catch_up: str, cron: str = "0 * * * *", timezone: str = "UTC") -> Plan:
    return Plan("noop", {}, cron, timezone, catch_up=CatchUp(catch_up))


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_tick_on_time_starts_a_job(catch_up: CatchUp) -> None:
    decided = due_ticks(plan(catch_up), NOON, NOON + timedelta(seconds=2))
    assert (decided.starting, decided.missed, decided.following) == ([NOON], [], NOON + HOUR)


def test_without_catching_up_a_tick_is_missed_after_a_minute() -> None:
    in_time = due_ticks(plan("none"), NOON, NOON + MINUTE)
    late = due_ticks(plan("none"), NOON, NOON + MINUTE + timedelta(seconds=1))
    assert (in_time.starting, in_time.missed) == ([NOON], [])
    assert (late.starting, late.missed, late.following) == ([], [NOON], NOON + HOUR)


def test_without_catching_up_only_the_tick_that_is_on_time_starts_a_job() -> None:
    decided = due_ticks(plan("none"), NOON, NOON + 3 * HOUR)
    assert (decided.starting, decided.missed) == ([NOON + 3 * HOUR], [NOON, NOON + HOUR, NOON + 2 * HOUR])


def test_one_job_makes_up_for_all_missed_ticks() -> None:
    decided = due_ticks(plan("one"), NOON, NOON + 2 * HOUR + MINUTE * 5)
    assert (decided.starting, decided.missed) == ([NOON + 2 * HOUR], [NOON, NOON + HOUR])


def test_catching_up_all_starts_a_job_for_each_tick_up_to_the_bound() -> None:
    some = due_ticks(plan("all"), NOON, NOON + 2 * HOUR + MINUTE * 5)
    assert (some.starting, some.missed) == ([NOON, NOON + HOUR, NOON + 2 * HOUR], [])
    many = due_ticks(plan("all"), NOON, NOON + 500 * HOUR)
    assert many.starting == [NOON + hours * HOUR for hours in range(401, 501)]
    assert many.missed == [NOON + hours * HOUR for hours in range(381, 401)]
    assert (len(many.starting), len(many.missed)) == (MAX_CAUGHT_UP, MAX_RECORDED)


@pytest.mark.parametrize("cron", ["* * * * *", "0 3 * * *", "0 0 29 2 *", "@yearly"])
@pytest.mark.parametrize("catch_up", CatchUp)
def test_the_ticks_of_many_years_are_not_counted_one_by_one(cron: str, catch_up: CatchUp) -> None:
    begun = time.process_time()
    decided = due_ticks(plan(catch_up, cron, "Europe/Berlin"), NOON - 9_000 * DAY, NOON)
    assert time.process_time() - begun < 2
    assert decided.following > NOON
    assert [*decided.missed, *decided.starting] == sorted({*decided.missed, *decided.starting})


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/20 * * * *", "0 */2 * * *", "@hourly"])
@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])
def test_no_tick_is_lost_or_repeated_when_the_clocks_change(cron: str, day: str) -> None:
    begin = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    berlin = plan("all", cron, "Europe/Berlin")
    first = berlin.next_tick(begin)
    every = [first, *ticks_between(berlin, first, begin + DAY)]
    assert len(every) <= MAX_CAUGHT_UP
    assert due_ticks(berlin, first, begin + DAY).starting == every
    assert len(set(every)) == len(every)
    assert cron != "30 2 * * *" or len(every) == 1
