"""Jobs for tests of unique jobs, deadlines and limits by key."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from jobs.engine import Limit, Unique, current_job, job


@job(unique=Unique(by="word"))
def once_a_word(word: str, note: str = "") -> str:
    """Run once for each word."""
    return word + note


@job(unique=Unique(by=("word",), until="start"))
def until_started(word: str) -> str:
    """Wait once for each word."""
    return word


@job(unique=Unique(ttl=0.3))
def unique_for_a_moment() -> None:
    """Be unique for a short time."""


@job(unique=Unique(on_conflict="reject"))
def unique_or_refused(word: str) -> str:
    """Be refused if there is an equal job."""
    return word


@job(unique=Unique(by=(), on_conflict="replace"))
def newest_word(word: str) -> str:
    """Run with the newest word."""
    return word


@job(start_within=60)
def soon_or_never() -> None:
    """Start within a minute."""


@job(limits=[Limit(running=1, by="key")])
def one_for_each_key(path: str, key: str = "", seconds: float = 0.0) -> None:
    """Run once at a time for each key, and write down from when to when."""
    _record(path, key, seconds)


@job(limits=[Limit(running=1, by="key")], unique=Unique(by="name", on_conflict="replace"))
def newest_for_each_key(key: str, name: str) -> str:
    """Run once at a time for each key, with the newest key of a name."""
    return key + name


@job(limits=[Limit(rate="3/second", by="key")])
def three_a_second(path: str, key: str = "", seconds: float = 0.0) -> None:
    """Start three times a second for each key, and write down when."""
    _record(path, key, seconds)


def _slowly(text: str) -> str:
    time.sleep(0.3)
    return text


@job(limits=[Limit(rate="3/second")])
def slow_to_begin(text: Annotated[str, AfterValidator(_slowly)]) -> str:
    """Take longer to read the parameters than a rate allows at the first time."""
    return text


@job(limits=[Limit(running=3), Limit(rate="5/second"), Limit(running=1, by=("key", "user"))])
def limited_in_three_ways(path: str, key: str = "", seconds: float = 0.0) -> None:
    """Run within three limits."""
    _record(path, key, seconds)


def _record(path: str, key: str, seconds: float) -> None:
    began = time.time()
    time.sleep(seconds)
    me = current_job()
    with (Path(path) / "ledger").open("a") as ledger:
        ledger.write(f"{key} {began!r} {time.time()!r} {me.job_id if me else ''}\n")
