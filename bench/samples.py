"""The results of a run: samples by contender, and verdicts on the goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median, the smallest and the largest of some samples."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, samples: list[float]) -> Spread:
        return cls(median(samples), min(samples), max(samples))


@dataclass(frozen=True)
class Ratio:
    """A goal for the ratio of two contenders: the median of the ratios of each round."""

    of: str
    against: str
    what: str
    at_least: float | None = None
    at_most: float | None = None
    #: The README shows it.
    headline: bool = False


@dataclass(frozen=True)
class Limit:
    """A goal for the median of one contender."""

    of: str
    what: str
    at_most: float | None = None
    at_least: float | None = None
    #: The README shows it.
    headline: bool = False


Goal = Ratio | Limit


@dataclass
class Result:
    """The result of a row: its samples by contender, in the order of the rounds."""

    row: str
    title: str
    unit: str
    goals: tuple[Goal, ...] = ()
    samples: dict[str, list[float]] = field(default_factory=dict)
    #: The reasons why contenders were not measured, or not in all rounds.
    failed: dict[str, str] = field(default_factory=dict)
    #: The reasons why the row was not measured.
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    spread: Spread

    @property
    def met(self) -> bool:
        least, most = self.goal.at_least, self.goal.at_most
        return (least is None or self.spread.median >= least) and (most is None or self.spread.median <= most)


def verdicts(result: Result) -> list[Verdict]:
    """Judge the goals of a row. Goals without samples are left out."""
    found = []
    for goal in result.goals:
        samples = result.samples.get(goal.of, [])
        if isinstance(goal, Ratio):
            # The machine is in the same state for all samples of a round. A ratio of medians would mix its states.
            samples = [
                ours / theirs for ours, theirs in zip(samples, result.samples.get(goal.against, []), strict=False)
            ]
        if samples:
            found.append(Verdict(goal, Spread.of(samples)))
    return found
