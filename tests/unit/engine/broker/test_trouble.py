"""An outage is logged at each try; the same refusal less and less often."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.trouble import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, BrokerTrouble
from jobs.engine.errors import BrokerUnavailable

REFUSAL = redis.exceptions.NoPermissionError("User limited has no permissions to run the 'evalsha' command")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trouble(clock: Clock) -> BrokerTrouble:
    return BrokerTrouble("worker-1", clock)


def test_an_outage_is_logged_at_each_try(trouble, caplog):
    for _ in range(3):
        trouble.away(redis.exceptions.ConnectionError("refused"))

    assert [record.getMessage() for record in caplog.records] == [
        "worker-1: the broker is away, trying again: refused"
    ] * 3


def test_a_refusal_is_one_line_with_the_permission_and_the_fix(trouble, caplog):
    for _ in range(100):
        trouble.away(REFUSAL)

    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)
    assert "worker-1" in record.getMessage()
    assert "'evalsha'" in record.getMessage()
    assert "ACL SETUSER" in record.getMessage()


def test_a_refusal_inside_an_error_of_ours_is_the_same_refusal(trouble, caplog):
    trouble.away(REFUSAL)
    for _ in range(3):
        with pytest.raises(BrokerUnavailable) as raised, broker_errors():
            raise REFUSAL
        trouble.away(raised.value)

    (record,) = caplog.records
    assert "'evalsha'" in record.getMessage()


def test_a_refusal_is_repeated_after_pauses_that_double_up_to_an_hour(trouble, clock, caplog):
    logged_at = []
    began = clock.now
    while clock.now - began < 4 * LONGEST_PAUSE_SECONDS:
        trouble.away(REFUSAL)
        if caplog.records:
            logged_at.append(clock.now - began)
            caplog.clear()
        clock.now += 1

    pauses = [later - earlier for earlier, later in pairwise(logged_at)]
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert max(pauses) == LONGEST_PAUSE_SECONDS


def test_two_different_refusals_are_two_lines(trouble, caplog):
    for command in ("evalsha", "hset", "evalsha"):
        trouble.away(redis.exceptions.NoPermissionError(f"no permission to run {command!r}"))

    assert len(caplog.records) == 2


def test_a_rejected_step_has_a_trace_once(trouble, caplog):
    for _ in range(3):
        trouble.failed(redis.exceptions.ResponseError("WRONGTYPE"), "a chore")

    (record,) = caplog.records
    assert record.exc_info
    assert record.getMessage() == "worker-1: the broker rejected a chore"
