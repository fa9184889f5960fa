from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jobs.engine.times import read_time, rfc3339


def test_a_time_in_utc_ends_with_z():
    assert rfc3339(datetime(2026, 3, 4, 5, 6, 7, 89, UTC)) == "2026-03-04T05:06:07.000089Z"


def test_a_whole_second_has_microseconds_too():
    assert rfc3339(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)) == "2026-03-04T05:06:07.000000Z"


def test_a_time_of_another_zone_is_converted_to_utc():
    india = timezone(timedelta(hours=5, minutes=30))
    assert rfc3339(datetime(2026, 1, 1, 2, 0, tzinfo=india)) == "2025-12-31T20:30:00.000000Z"


def test_a_time_is_read_back_as_it_was_written():
    moment = datetime(2026, 3, 4, 5, 6, 7, 89, UTC)
    assert read_time(rfc3339(moment)) == moment
    assert read_time("2026-03-04T05:06:07+05:30").utcoffset() == timedelta(hours=5, minutes=30)


@pytest.mark.parametrize("text", ["2026-03-04T05:06:07", "2026-03-04", "yesterday", ""])
def test_a_time_without_a_zone_is_refused(text):
    with pytest.raises(ValueError):
        read_time(text)
