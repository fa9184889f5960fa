from __future__ import annotations

from datetime import timedelta

import fakeredis
import pytest
import time_machine

from jobs.engine.accounts.rate import Meter, Rate, refuse_if_early
from jobs.engine.errors import BrokerUnavailable, RateLimited

THREE_AN_HOUR = Rate(3, 3_600)


@pytest.fixture
def meter(connection: fakeredis.FakeRedis) -> Meter:
    return Meter(connection)


def spend(meter: Meter, name: str = "guesses", rate: Rate = THREE_AN_HOUR) -> None:
    for _ in range(rate.count):
        meter.charge(name, rate)


def wait_of(meter: Meter, name: str = "guesses", rate: Rate = THREE_AN_HOUR) -> float:
    with pytest.raises(RateLimited) as refusal:
        meter.charge(name, rate)
    return refusal.value.retry_after


def test_the_whole_count_may_be_used_at_once_but_not_exceeded(meter: Meter) -> None:
    spend(meter)
    assert 1_190 < wait_of(meter) <= 1_200


def test_a_refusal_is_not_counted(meter: Meter) -> None:
    spend(meter)
    for _ in range(10):
        assert wait_of(meter) <= 1_200


def test_names_are_counted_separately(meter: Meter) -> None:
    spend(meter, "alice")
    meter.charge("bob", THREE_AN_HOUR)
    assert wait_of(meter, "alice")


def test_one_more_is_allowed_after_each_interval(meter: Meter) -> None:
    with time_machine.travel("2026-03-04T05:06:07Z", tick=False) as clock:
        spend(meter)
        clock.shift(timedelta(seconds=1_199))
        assert wait_of(meter) == pytest.approx(1)
        clock.shift(timedelta(seconds=1))
        meter.charge("guesses", THREE_AN_HOUR)
        assert wait_of(meter) == pytest.approx(1_200)


def test_the_whole_count_is_allowed_again_after_the_period(meter: Meter) -> None:
    with time_machine.travel("2026-03-04T05:06:07Z", tick=False) as clock:
        spend(meter)
        clock.shift(timedelta(seconds=3_600))
        spend(meter)
        assert wait_of(meter)


def test_a_refund_takes_back_one_charge(meter: Meter) -> None:
    spend(meter)
    meter.refund("guesses", THREE_AN_HOUR)
    meter.charge("guesses", THREE_AN_HOUR)
    assert wait_of(meter)


def test_a_refund_of_what_was_never_charged_changes_nothing(meter: Meter, connection: fakeredis.FakeRedis) -> None:
    meter.refund("guesses", THREE_AN_HOUR)
    assert connection.keys("*") == []


def test_a_count_expires_by_itself(meter: Meter, connection: fakeredis.FakeRedis) -> None:
    spend(meter)
    assert 3_590 < connection.ttl("wh:rate:guesses") <= 3_601


def test_an_unreachable_broker_is_reported(meter: Meter, server: fakeredis.FakeServer) -> None:
    server.connected = False
    for act in (meter.charge, meter.refund):
        with pytest.raises(BrokerUnavailable):
            act("guesses", THREE_AN_HOUR)


def test_a_request_in_time_is_not_refused() -> None:
    assert refuse_if_early(0) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(("microseconds", "seconds"), [(1, 1), (400_000, 1), (2_600_000, 3)])
def test_a_refusal_names_the_seconds_to_wait_and_at_least_one(microseconds: int, seconds: int) -> None:
    with pytest.raises(RateLimited, match=f"in {seconds} s") as refusal:
        refuse_if_early(microseconds)
    assert refusal.value.retry_after == microseconds / 1e6
