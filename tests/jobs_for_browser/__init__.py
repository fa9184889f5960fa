"""Jobs for the browser tests: one for each way to show a job, and one with every kind of form field."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from jobs.engine import File, job, log, track


class Colour(StrEnum):
    BAY = "bay"
    GREY = "grey"
    BLACK = "black"


class Rider(BaseModel):
    """The rider of the horse."""

    name: Annotated[str, Field(min_length=1, max_length=50)]
    age: int | None = None


class Stable(BaseModel):
    """The stable of the horse."""

    town: Annotated[str, Field(max_length=50)]
    rider: Rider


class Counted(BaseModel):
    lines: int
    first_line: str


@job
def count_sheep(steps: int = 4, seconds: float = 0.3) -> int:
    """Count sheep slowly."""
    for step in track(range(steps), "Counting"):
        if step % 25 == 0:
            log(f"sheep {step + 1} jumps over the fence")
        time.sleep(seconds)
    return steps


@job
def ask_the_shop(answer: str = "the shop is closed") -> None:
    """Fail with an error from the shop."""
    log(f"asking: {answer}")
    raise ConnectionError(answer)


@job
def count_lines(file: File) -> Counted:
    """Count the lines of a text file."""
    lines = file.path.read_text().splitlines()
    return Counted(lines=len(lines), first_line=lines[0] if lines else "")


@job
def describe_a_horse(
    name: Annotated[str, Field(min_length=2, max_length=40)],
    height: Annotated[float, Field(gt=0, le=220)],
    colour: Colour,
    stable: Stable,
    trained: bool = False,
    gaits: list[str] = ["walk", "trot"],  # noqa: B006 (a default of a job's parameter is only read)
    weights: list[int] = [],  # noqa: B006
    feed: dict[str, float] | None = None,
    speed: Literal[1, 2, 3] = 2,
    remarks: str = "",
) -> dict[str, object]:
    """Return the description of a horse."""
    return {
        "name": name,
        "height": height,
        "colour": colour.value,
        "town": stable.town,
        "rider": stable.rider.name,
        "trained": trained,
        "gaits": gaits,
        "weights": weights,
        "feed": feed,
        "speed": speed,
        "remarks": remarks,
    }
