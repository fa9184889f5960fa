"""Jobs for tests of limits, which may run at the same time or not, and jobs that use each other's results."""

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
    """Keep a file with this process's id while the job runs."""
    mark = Path(path) / f"{os.getpid()}-{time.monotonic_ns()}"
    mark.write_text("here")
    time.sleep(seconds)
    mark.rename(mark.with_name(f"ended-{mark.name}"))


@job(max_running=1)
def one_at_a_time(path: str, seconds: float = 0.2) -> None:
    """Run at most once at a time."""
    _stay(path, seconds)


@job
def any_number_at_once(path: str, seconds: float = 0.2) -> None:
    """Run any number of times at once."""
    _stay(path, seconds)


@job
def split(text: str) -> Words:
    """Split a text into words."""
    return Words(words=text.split(), count=len(text.split()))


@job
def join(words: list[str], separator: str = " ") -> str:
    """Join words."""
    return separator.join(words)


@job
def count_items(items: list[Any]) -> int:
    """Count items of any kind."""
    return len(items)


@job
def repeat(text: str, times: int) -> list[str]:
    """Repeat a text."""
    return [text] * times
