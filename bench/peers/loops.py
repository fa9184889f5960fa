"""Measure a turn of an empty loop, with or without tqdm: `loops.py tqdm | bare TURNS` prints nanoseconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable


def main(kind: str, turns: str) -> None:
    loop: Iterable[int] = range(int(turns))
    if kind == "tqdm":
        from tqdm import tqdm

        with open("/dev/null", "w") as nowhere:  # noqa: PTH123 - tqdm wants an open file
            print(_nanoseconds(tqdm(loop, desc="Counting", file=nowhere), int(turns)))
    else:
        print(_nanoseconds(loop, int(turns)))


def _nanoseconds(loop: Iterable[int], turns: int) -> float:
    began = time.perf_counter_ns()
    for _ in loop:
        pass
    return (time.perf_counter_ns() - began) / turns


if __name__ == "__main__":
    main(*sys.argv[1:])
