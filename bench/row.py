"""A row of the benchmark, in which contenders take turns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from .samples import Goal, Result
from .workbench import Workbench

#: A function that takes one sample.
Contender = Callable[[], float]


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    goals: tuple[Goal, ...]
    #: Starts the processes of the row, which the stack ends, and returns the contenders by name.
    prepare: Callable[[Workbench, ExitStack], dict[str, Contender]]


def measure(row: Row, bench: Workbench, rounds: int) -> Result:
    """Take one sample of each contender in each round. The order rotates from round to round."""
    result = Result(row.name, row.title, row.unit, row.goals)
    with ExitStack() as stack:
        contenders = row.prepare(bench, stack)
        names = list(contenders)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                sample = contenders[name]()
                result.samples.setdefault(name, []).append(sample)
                say(f"  {row.name} {number + 1}/{rounds} {name}: {sample:.4g} {row.unit}")
    # In the order in which they were prepared.
    result.samples = {name: result.samples[name] for name in names}
    return result


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
