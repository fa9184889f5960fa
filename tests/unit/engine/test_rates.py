"""A rate as text."""

from __future__ import annotations

import pytest

from jobs.engine.rates import rate_text, read_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1/second", (1, 1)), ("60/minute", (60, 60)), ("5/hour", (5, 3600)), ("999999999/day", (999_999_999, 86_400))],
)
def test_a_rate_is_a_number_and_a_period(text, rate):
    assert read_rate(text) == rate
    assert rate_text(*rate) == text


@pytest.mark.parametrize(
    "text",
    ["", "60", "0/minute", "-1/minute", "1.5/second", "60/minutes", "60 / minute", "60/30s", "١/second", "1/day\n"],
)
def test_any_other_text_is_not_a_rate(text):
    with pytest.raises(ValueError, match="as in 600/minute"):
        read_rate(text)
