"""The retry policy: which errors, how often, and how long between."""

from __future__ import annotations

import pytest

from jobs.engine.author.retry import Retry, RetryPolicy
from jobs.engine.errors import ConfigurationError, Fatal, RetryLater


def pauses(policy: Retry) -> list[float]:
    return [policy.seconds_before(attempt) for attempt in (1, 2, 3, 4)]


def test_an_exponential_pause_doubles_up_to_its_cap():
    assert pauses(Retry(max=4, delay=2, max_delay=10, jitter=False)) == [2, 4, 8, 10]


def test_a_linear_pause_grows_by_its_delay():
    assert pauses(Retry(max=4, backoff="linear", delay=2, jitter=False)) == [2, 4, 6, 8]


def test_a_constant_pause_does_not_grow():
    assert pauses(Retry(max=4, backoff="constant", delay=2, jitter=False)) == [2, 2, 2, 2]


def test_jitter_shortens_a_pause_by_up_to_half_and_never_passes_the_cap():
    policy = Retry(max=9, delay=8, max_delay=10)
    first = [policy.seconds_before(1) for _ in range(200)]
    assert all(4 <= seconds <= 8 for seconds in first)
    assert len(set(first)) > 1
    assert all(policy.seconds_before(9) <= 10 for _ in range(200))


def test_a_pause_after_very_many_attempts_is_the_cap():
    assert Retry(max=10**6, max_delay=60, jitter=False).seconds_before(10**6) == 60


def test_only_the_given_errors_and_their_subclasses_are_tried_again():
    policy = Retry(max=1, on=(OSError,))
    assert policy.applies_to(ConnectionResetError())
    assert not policy.applies_to(ValueError())


def test_never_takes_precedence_over_on():
    policy = Retry(max=1, on=(OSError,), never=(PermissionError,))
    assert policy.applies_to(OSError())
    assert not policy.applies_to(PermissionError())


def test_every_exception_is_tried_again_by_default_except_an_exit():
    policy = Retry(max=1)
    assert policy.applies_to(KeyError())
    assert policy.applies_to(RetryLater(5))
    assert not policy.applies_to(SystemExit())


def test_a_fatal_error_is_never_tried_again_whatever_the_policy():
    assert not Retry(max=3, on=(BaseException,)).applies_to(Fatal("no"))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"max": -1}, "max=-1"),
        ({"max": 1.5}, "max=1.5"),
        ({"max": True}, "max=True"),
        ({"max": 1, "backoff": "quadratic"}, "exponential, linear, constant"),
        ({"max": 1, "delay": -1}, "delay=-1"),
        ({"max": 1, "delay": float("nan")}, "delay=nan"),
        ({"max": 1, "max_delay": "1 h"}, "max_delay='1 h'"),
        ({"max": 1, "jitter": 2}, "jitter=2"),
        ({"max": 1, "on": OSError}, r"on=\(OSError,\)"),
        ({"max": 1, "never": (3,)}, r"never=\(3,\)"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(values, named):
    with pytest.raises(ConfigurationError, match=named):
        Retry(**values)


def test_clients_see_the_errors_by_name():
    described = RetryPolicy.of(Retry(max=2, on=(OSError,), never=(PermissionError,)))
    assert described.max_retries == 2
    assert (described.on, described.never) == (["OSError"], ["PermissionError"])
