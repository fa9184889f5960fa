"""A row of the benchmark, in which contenders take turns."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from threading import BrokenBarrierError

import psutil
import redis

from .http_load import BadAnswer
from .samples import Goal, Result
from .workbench import NotMeasured, Workbench

#: A function that takes one sample, or one of each part: the memory of an idle system and of a busy one.
Contender = Callable[[], float | Mapping[str, float]]

#: The errors that mean that a contender was not measured. The others continue.
FAILURES = (
    NotMeasured,
    BadAnswer,
    OSError,
    subprocess.SubprocessError,
    HTTPException,
    redis.RedisError,
    psutil.Error,
    ValueError,
    KeyError,
    BrokenBarrierError,
)


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    goals: tuple[Goal, ...]
    #: Starts the processes of the row, which the stack ends, and returns the contenders by name.
    prepare: Callable[[Workbench, ExitStack], Mapping[str, Contender]]
    #: The environments that its contenders need.
    peers: tuple[str, ...] = ()
    #: The number of rounds that are enough for a row whose samples take long and vary little.
    most_rounds: int | None = None


def measure(row: Row, bench: Workbench, rounds: int) -> Result:
    """Take one sample of each contender in each round. The order rotates from round to round.

    A contender that fails is left out of the following rounds, and the result has the reason.
    """
    say(f"{row.name}: {row.title}")
    result = Result(row.name, row.title, row.unit, row.goals)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            _take_turns(row.prepare(bench, stack), result, min(rounds, row.most_rounds or rounds))
    except FAILURES as error:
        say(f"  {row.name}: {_reason(error)}")
        result.troubles.append(_reason(error))
    say(f"  {row.name} took {time.monotonic() - began:.0f} s")
    return result


def _take_turns(contenders: Mapping[str, Contender], result: Result, rounds: int) -> None:
    for number in range(rounds):
        names = [name for name in contenders if name not in result.failed]
        turn = number % max(1, len(names))
        for name in names[turn:] + names[:turn]:
            try:
                sample = contenders[name]()
            except FAILURES as error:
                result.failed[name] = _reason(error)
                say(f"  {result.row} {number + 1}/{rounds} {name}: not measured: {_reason(error)}")
            else:
                _add(result, name, sample, f"{number + 1}/{rounds}")


def _add(result: Result, name: str, sample: float | Mapping[str, float], turn: str) -> None:
    parts = (
        {f"{name}, {part}": value for part, value in sample.items()} if isinstance(sample, Mapping) else {name: sample}
    )
    for each, value in parts.items():
        result.samples.setdefault(each, []).append(value)
        say(f"  {result.row} {turn} {each}: {value:.4g} {result.unit}")


def _reason(error: Exception) -> str:
    """Return one line: what a process has printed last is more than a table has room for."""
    return " ".join(f"{type(error).__name__}: {error}".split())[-600:]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
