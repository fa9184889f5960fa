"""The times at which cron lines are due, including the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.client import cron
from jobs.engine.errors import InvalidRequest

BERLIN = "Europe/Berlin"


def ticks(line: str, zone: str, start: str, count: int) -> list[str]:
    """Return the next ticks in the time of the zone."""
    moment = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    found = []
    for _ in range(count):
        moment = cron.next_tick(line, zone, moment)
        assert moment.tzinfo is UTC
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


def test_a_line_is_due_in_the_time_of_its_zone() -> None:
    assert ticks("0 9 * * mon-fri", BERLIN, "2026-01-02T12:00", 2) == ["05 09:00+0100", "06 09:00+0100"]
    assert ticks("0 9 * * *", "UTC", "2026-07-01T12:00", 1) == ["02 09:00+0000"]


def test_a_daily_line_keeps_its_hour_when_clocks_change() -> None:
    assert ticks("0 9 * * *", BERLIN, "2026-03-28T12:00", 2) == ["29 09:00+0200", "30 09:00+0200"]
    assert ticks("0 9 * * *", BERLIN, "2026-10-24T12:00", 2) == ["25 09:00+0100", "26 09:00+0100"]


def test_a_time_that_is_skipped_is_due_at_the_end_of_the_gap_once() -> None:
    assert ticks("30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["29 03:00+0200", "30 02:30+0200"]


def test_a_fixed_time_that_comes_twice_is_due_only_the_first_time() -> None:
    assert ticks("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["25 02:30+0200", "26 02:30+0100"]
    assert ticks("30 1 * * *", "America/New_York", "2026-10-31T12:00", 2) == ["01 01:30-0400", "02 01:30-0500"]
    assert ticks("@daily", "America/Havana", "2026-10-31T12:00", 2) == ["01 00:00-0400", "02 00:00-0500"]


@pytest.mark.parametrize("line", ["0 * * * *", "@hourly"])
def test_an_hourly_line_is_due_every_hour_when_clocks_change(line: str) -> None:
    assert ticks(line, BERLIN, "2026-10-25T01:30", 3) == ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]
    assert ticks(line, BERLIN, "2026-03-29T00:30", 3) == ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]


@given(
    st.sampled_from(
        ["*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 0 * * *", "@weekly", "59 23 29 2 *"]
    ),
    st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"]),
    st.datetimes(  # hypothesis takes bounds without a zone
        datetime(2024, 1, 1),  # noqa: DTZ001
        datetime(2030, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
)
def test_ticks_only_go_forward(line: str, zone: str, start: datetime) -> None:
    moments = [start]
    for _ in range(4):
        moments.append(cron.next_tick(line, zone, moments[-1]))
    assert all(before < after for before, after in pairwise(moments))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 0 30 2 *",
        "R * * * *",
        "H/5 * * * *",
        "R(0-9) * * * *",
        "@reboot",
        "a b c d e",
    ],
)
def test_a_line_that_is_invalid_or_never_due_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cron.check(line, "UTC")
    assert [fault.pointer for fault in caught.value.faults] == ["/cron"]


@pytest.mark.parametrize("zone", ["", "Berlin", "Europe", "../etc/passwd", "UTC+1", "Mars/Olympus"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cron.check("0 9 * * *", zone)
    assert [fault.pointer for fault in caught.value.faults] == ["/timezone"]


@pytest.mark.parametrize(
    "line", [*cron.ALIASES, "*/5 9-17 * * mon-fri", "0 0 1 jan,mar *", "0 12 L * *", "0 12 * * thu#2"]
)
def test_a_valid_line_is_accepted_and_due_again(line: str) -> None:
    cron.check(line, BERLIN)
    now = datetime.now(UTC)
    assert cron.next_tick(line, BERLIN, now) > now
