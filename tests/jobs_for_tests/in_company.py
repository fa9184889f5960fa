"""Jobs whose company matters: of which only some may run at once, and which work on each other's results."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jobs.engine import job


class Words(BaseModel):
    words: list[str]
    count: int


def _stay(path: str, seconds: float) -> None:
    """Leave a mark with this process's id for as long as it runs."""
    mark = Path(path) / f"{os.getpid()}-{time.monotonic_ns()}"
    mark.write_text("here")
    time.sleep(seconds)
    mark.rename(mark.with_name(f"ended-{mark.name}"))


@job(max_running=1)
def one_at_a_time(path: str, seconds: float = 0.2) -> None:
    """Run alone of its kind."""
    _stay(path, seconds)


@job
def in_a_crowd(path: str, seconds: float = 0.2) -> None:
    """Run beside any others."""
    _stay(path, seconds)


@job
def split(text: str) -> Words:
    """Take a text apart."""
    return Words(words=text.split(), count=len(text.split()))


@job
def join(words: list[str], separator: str = " ") -> str:
    """Put words together."""
    return separator.join(words)


@job
def count_items(items: list[Any]) -> int:
    """Count items of any kind."""
    return len(items)


@job
def repeat(text: str, times: int) -> list[str]:
    """Repeat a text."""
    return [text] * times
