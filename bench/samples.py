"""What was measured: samples by contender, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Spread:
    """A median, and the least and the greatest of the samples."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, samples: list[float]) -> Spread:
        return cls(median(samples), min(samples), max(samples))


@dataclass(frozen=True)
class Ratio:
    """A goal: `of` against `against`, each round's samples with each other, the median of that."""

    of: str
    against: str
    what: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Limit:
    """A goal for one contender's own median."""

    of: str
    what: str
    at_most: float


Goal = Ratio | Limit


@dataclass
class Result:
    """One row of the benchmark: its samples by contender, in the order of the rounds."""

    row: str
    title: str
    unit: str
    goals: tuple[Goal, ...] = ()
    samples: dict[str, list[float]] = field(default_factory=dict)
    #: Why the row, or a contender, was not measured.
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    spread: Spread

    @property
    def met(self) -> bool:
        least = self.goal.at_least if isinstance(self.goal, Ratio) else None
        most = self.goal.at_most
        return (least is None or self.spread.median >= least) and (most is None or self.spread.median <= most)


def verdicts(result: Result) -> list[Verdict]:
    """How each goal of a row was met; goals whose contenders were not measured are left out."""
    found = []
    for goal in result.goals:
        samples = result.samples.get(goal.of, [])
        if isinstance(goal, Ratio):
            # Samples of one round saw the same machine; a ratio of medians would mix its good and bad minutes.
            samples = [
                ours / theirs for ours, theirs in zip(samples, result.samples.get(goal.against, []), strict=False)
            ]
        if samples:
            found.append(Verdict(goal, Spread.of(samples)))
    return found
