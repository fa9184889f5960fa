"""Reports of progress from a job's function: `progress` and `track`. Outside a job they do nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from operator import index
from typing import TypeVar

from .reporting import LARGEST_NUMBER
from .running import current_attempt

Item = TypeVar("Item")


def progress(
    percent: float | None = None,
    message: str | None = None,
    *,
    current: float | None = None,
    total: float | None = None,
) -> None:
    """Report how far the job is.

    Args:
        percent: 0 to 100. If omitted, it is computed from `current` and `total`.
        message: what the job is doing, for people.
        current: how many are done, of `total`.

    Raises:
        ValueError: if a number is not finite.
    """
    percent, current, total = _number("percent", percent), _number("current", current), _number("total", total)
    if (attempt := current_attempt()) is not None:
        attempt.progress(percent, message, current, total, None)


def _number(name: str, value: float | None) -> float | None:
    """Return a plain number, even for a number of numpy's or a Decimal, which JSON can't hold."""
    if value is None:
        return None
    plain = index(value) if hasattr(value, "__index__") else float(value)
    if not -LARGEST_NUMBER <= plain <= LARGEST_NUMBER:  # false for NaN, too
        raise ValueError(f"progress({name}={value}): expected a finite number")
    return plain


def track(
    iterable: Iterable[Item], message: str | None = None, *, total: int | None = None, resume: bool = False
) -> Iterator[Item]:
    """Iterate over `iterable`, and report percent, rate and time left. A cancelled job stops here.

    Args:
        message: what the loop does, for people.
        total: the number of items, if `len(iterable)` can't return it.
        resume: in a later execution of the job, continue after the last finished item, by position, per loop in the
            order of the calls. The iterable must then come in the same order again. Exact after an error, a deploy, or
            the death of the job's process; if its worker died too, up to 0.5 s of items are repeated.
    """
    attempt = current_attempt()
    if attempt is None:
        yield from iterable
        return
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    began = time.monotonic()
    reporting = attempt.reporting
    first = done = 0
    if resume:
        positions = attempt.positions
        number, finished = positions.begin_loop()
        first = done = finished.value
        iterable = islice(iterable, first, None)

    def report() -> None:
        reporting.due = False
        here = done - first
        left = None if not total or not here else max(0.0, (total - done) * (time.monotonic() - began) / here)
        attempt.progress(None, message, done, total, left)

    report()
    reporting.loop_began()
    try:
        if resume:
            for item in iterable:
                yield item
                done += 1
                if positions.following != number + 1:
                    positions.forget_inside(number)
                finished.value = done
                if reporting.due:
                    report()
        else:
            for item in iterable:
                yield item
                done += 1
                if reporting.due:
                    report()
    finally:
        reporting.loop_ended()
    report()
