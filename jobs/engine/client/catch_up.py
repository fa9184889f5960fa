"""Decide which ticks start a job, when one or more ticks of a schedule are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .schedule import CatchUp, Plan, ticks_between

#: The most missed ticks that start a job with `catch_up=all`: the last ones.
MAX_CAUGHT_UP = 100
#: A tick that is later than this was missed.
LATE = timedelta(seconds=60)
#: As many as the history has.
MAX_RECORDED = 20


@dataclass(frozen=True)
class DueTicks:
    #: Ticks that start a job, oldest first.
    starting: list[datetime]
    #: The last ticks that start none, oldest first.
    missed: list[datetime]
    #: The first tick that is not due.
    following: datetime


def due_ticks(plan: Plan, first: datetime, now: datetime) -> DueTicks:
    """Decide about `first`, which is due, and every later tick until now."""
    following = plan.next_tick(now)
    if following == plan.next_tick(first):
        due = [first]
    else:
        due = _last_ticks(plan, first, now, MAX_RECORDED + (MAX_CAUGHT_UP if plan.catch_up is CatchUp.ALL else 2))
    starting = _starting(plan.catch_up, due, now)
    return DueTicks(starting, due[: len(due) - len(starting)][-MAX_RECORDED:], following)


def _starting(catch_up: CatchUp, due: list[datetime], now: datetime) -> list[datetime]:
    match catch_up:
        case CatchUp.NONE:
            return [tick for tick in due if now - tick <= LATE]
        case CatchUp.ONE:
            return due[-1:]
        case CatchUp.ALL:
            return due[-MAX_CAUGHT_UP:]


def _last_ticks(plan: Plan, first: datetime, now: datetime, count: int) -> list[datetime]:
    """Return the last ticks until now, at most `count`, oldest first.

    Ticks can only be found forwards. The search begins later than `first`, and earlier again if it finds too few: after
    a year, half a million minutes may have been missed.
    """
    span = timedelta(minutes=count)
    while now - span > first:
        found = list(ticks_between(plan, now - span, now))
        if len(found) >= count:
            return found[-count:]
        span *= 2
    return [first, *ticks_between(plan, first, now)][-count:]
