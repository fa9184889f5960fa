"""A rate as text, such as 600/minute: a number of times in a period."""

from __future__ import annotations

import re

PERIOD_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
#: The form of a rate, in words.
A_RATE = "a number, a slash and second, minute, hour or day, as in 600/minute"

_FORM = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


def read_rate(text: str) -> tuple[int, int]:
    """Return how many times a rate allows, and the seconds of its period.

    Raises:
        ValueError: the text is not a rate.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {A_RATE}")
    return int(match[1]), PERIOD_SECONDS[match[2]]


def rate_text(count: int, period_seconds: int) -> str:
    """Return a rate as text: the opposite of `read_rate`."""
    (period,) = [name for name, seconds in PERIOD_SECONDS.items() if seconds == period_seconds]
    return f"{count}/{period}"
