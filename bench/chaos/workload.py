"""The seeded mix of jobs: which are submitted, in which order, and which are cancelled."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

PRIORITIES = ("high", "default", "low")


@dataclass(frozen=True)
class Wish:
    """A planned submission."""

    number: int
    job_type: str
    params: dict[str, Any]
    priority: str
    delay_seconds: float | None = None
    #: The number of an earlier wish whose job it waits for.
    after: int | None = None
    #: The seconds from the response until the client cancels the job.
    cancel_after_seconds: float | None = None
    #: The reason why it must be refused: `unknown_dependency`, `reused_key` or None.
    flaw: str | None = None
    #: The number of equal submissions that are sent at once.
    copies: int = 1
    #: Wishes with the same one share a job, until it has ended.
    unique_key: str | None = None

    @property
    def key(self) -> str:
        return f"wish-{self.number}"


#: The first number of the wishes that belong to deploys.
DEPLOY_NUMBERS = 1_000_000
STEP_SECONDS = 0.5
#: The number of keys of limits and of unique jobs, and the share of the jobs of a type that are unique.
KEYS = 2
UNIQUE_SHARE = 0.3
#: The limits of the job types `keyed` and `rated` for each key.
MOST_RUNNING = 1
MOST_STARTS, PERIOD_SECONDS = 2, 1.0


def deploy_wishes(nth: int, lengths: Sequence[float]) -> list[Wish]:
    """Return jobs of these lengths in seconds, to run when the nth deploy begins."""
    first = DEPLOY_NUMBERS + 100 * nth
    steps = [int(seconds / STEP_SECONDS) for seconds in lengths]
    params = [{"number": first + place, "steps": each, "seconds": STEP_SECONDS} for place, each in enumerate(steps)]
    types = ("stepping", "stepping-reused")
    return [Wish(each["number"], types[each["number"] % 2], each, "high") for each in params]  # type: ignore[arg-type,call-overload]


def wishes(seed: int, count: int) -> Iterator[Wish]:
    chance = random.Random(seed)
    for number in range(count):
        yield _wish(number, chance)


def _wish(number: int, chance: random.Random) -> Wish:
    job_type, params = _call(number, chance)
    fate = chance.random()
    if chance.random() < UNIQUE_SHARE and job_type == "once":
        return Wish(number, job_type, params, chance.choice(PRIORITIES), unique_key=f"key-{chance.randrange(KEYS)}")
    return Wish(
        number,
        job_type,
        params,
        chance.choice(PRIORITIES),
        delay_seconds=round(chance.uniform(0.2, 3), 2) if 0.10 < fate < 0.20 else None,
        after=number - chance.randint(1, 6) if 0.20 < fate < 0.40 and number > 6 else None,
        cancel_after_seconds=round(chance.uniform(0, 0.5), 3) if chance.random() < 0.05 else None,
        flaw=chance.choice(("unknown_dependency", "reused_key")) if fate > 0.98 and number else None,
        copies=8 if 0.975 < fate <= 0.98 else 1,
    )


def _call(number: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    kind = chance.random()
    # Of the eight job types, these two run in processes that are reused.
    reused = chance.choice(("", "-reused"))
    if kind < 0.06:
        return "keyed", {"number": number, "key": chance.randrange(KEYS), "seconds": round(chance.uniform(0, 0.8), 2)}
    if kind < 0.14:
        return "rated", {"number": number, "key": chance.randrange(KEYS)}
    if kind < 0.62:
        return f"once{reused}", {"number": number}
    if kind < 0.74:
        return f"once{reused}", {"number": number, "seconds": round(chance.uniform(0.1, 0.6), 2)}
    if kind < 0.84:
        return f"stepping{reused}", {"number": number, "steps": chance.randint(2, 8), "seconds": 0.05}
    if kind < 0.97:
        return "stubborn", {"number": number, "fails": chance.randint(0, 2)}
    return "hopeless", {"number": number}
