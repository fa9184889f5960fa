"""The counts behind `/metrics`: read them, and add the ones that no script of a job writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .scripts import Scripts


class Counters:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection = scripts.connection

    def read(self, queues: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
        """Return the figures of metrics.lua, and INFO on memory and persistence unless the broker forbids it."""
        pipeline = self._connection.pipeline(transaction=False)
        self._scripts.add_to(pipeline, "metrics", *queues)
        pipeline.info("memory")
        pipeline.info("persistence")
        figures, *info = pipeline.execute(raise_on_error=False)
        if isinstance(figures, Exception):
            raise figures
        return figures, {name: value for each in info if isinstance(each, dict) for name, value in each.items()}

    def add(self, counts: dict[str, dict[str, int]], sums: dict[str, dict[str, float]]) -> None:
        """Add to counts and sums of `wh:metrics:<metric>` by label, in one atomic step."""
        pipeline = self._connection.pipeline(transaction=True)
        for name, labels in counts.items():
            for label, count in labels.items():
                pipeline.hincrby(f"wh:metrics:{name}", label, count)
        for name, seconds in sums.items():
            for label, total in seconds.items():
                pipeline.hincrbyfloat(f"wh:metrics:{name}", label, total)
        pipeline.execute()
