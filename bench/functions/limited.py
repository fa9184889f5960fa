"""The jobs with limits that are claimed while the cost of limits is measured."""

from __future__ import annotations

from jobs.engine import Limit, Unique, job


@job(limits=[Limit(running=1, by="key")])
def noop_by_key(key: int) -> None:
    """Do nothing, once at a time for each key."""


@job(limits=[Limit(rate="1000/second", by="key")])
def noop_by_rate(key: int) -> None:
    """Do nothing, at a rate for each key."""


@job(unique=Unique())
def unique_noop(key: int) -> None:
    """Do nothing, once for each key."""
