"""The functions of stock RQ's jobs."""

from __future__ import annotations

from bench.peers import load

load.fill_heap()
load.import_modules()


def noop() -> None:
    pass


def greet(name: str, times: int = 1) -> str:
    return f"Hello {name}! " * times


def stamp(path: str) -> None:
    load.stamp(path)
