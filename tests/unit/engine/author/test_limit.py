"""The limits that an author gives a job type."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine import Limit
from jobs.engine.errors import ConfigurationError
from jobs.engine.public_fields import nested_fields


def test_a_limit_names_its_parameters_as_a_tuple():
    assert Limit(running=2).names == ()
    assert Limit(running=2, by="customer_id").names == ("customer_id",)
    assert Limit(running=2, by=["region", "customer_id"]).names == ("region", "customer_id")  # type: ignore[arg-type]


def test_a_rate_is_read_into_a_count_and_a_period():
    limit = Limit(rate="60/minute", by="user")
    assert (limit.count, limit.period_seconds) == (60, 60)
    assert nested_fields(limit) == {"running": None, "rate": "60/minute", "by": ["user"]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Limit(): expected either running or rate"),
        ({"running": 2, "rate": "1/second"}, "expected either running or rate"),
        ({"running": 0}, "Limit(running=0): expected a whole number for running, at least 1."),
        ({"running": True}, "Limit(running=True)"),
        ({"running": 1.5}, "Limit(running=1.5)"),
        ({"rate": "60/min"}, "Limit(rate='60/min'): expected a number, a slash and second"),
        ({"rate": 60}, "Limit(rate=60)"),
        ({"running": 1, "by": ""}, "expected names of parameters for by"),
        ({"running": 1, "by": ("a", "a")}, "expected names of parameters for by"),
        ({"running": 1, "by": 3}, "expected names of parameters for by"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_one_line(values: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError) as caught:
        Limit(**values)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
