"""The queues, as the API returns them, in the order in which workers empty them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from jobs.engine import queue_names
from jobs.engine.client.pauses import Pause
from jobs.engine.public_fields import public_fields

from .control import Pauses
from .figures import QueueFigures


@dataclass(frozen=True)
class Queue:
    """The waiting jobs of one priority and with the same needs, as in `high@gpu`, or a queue of plain RQ."""

    name: str
    depth: Annotated[int, Field(ge=0, description="Waiting jobs. Cancelled ones count until a worker drops them.")]
    oldest_wait_seconds: Annotated[float, Field(ge=0, description="The longest wait among the jobs near its head.")]
    running: Annotated[int, Field(ge=0, description="Jobs of this queue that run now.")]
    paused: Annotated[Pause | None, Field(description="null unless it is paused.")]

    def as_dict(self) -> dict[str, Any]:
        """Return the queue of the HTTP API."""
        return public_fields(self) | {"paused": self.paused and self.paused.as_dict()}


def in_order(queues: Iterable[QueueFigures]) -> list[QueueFigures]:
    """Sort queues in the order in which workers empty them. Those of plain RQ come last."""
    by_name = {queue.name: queue for queue in queues}
    return [by_name[name] for name in queue_names.in_order(by_name)]


def all_queues(figures: Iterable[QueueFigures], pauses: Pauses) -> list[Queue]:
    """Return the queues that the figures are of."""
    return [_queue(each, pauses.of_queue(each.name)) for each in in_order(figures)]


def one_queue(name: str, figures: Iterable[QueueFigures], paused: Pause | None) -> Queue:
    """Return a queue. Without figures it is empty: a queue with needs can be forgotten at any time."""
    found = [_queue(each, paused) for each in figures if each.name == name]
    return found[0] if found else Queue(name, depth=0, oldest_wait_seconds=0, running=0, paused=paused)


def _queue(figures: QueueFigures, paused: Pause | None) -> Queue:
    return Queue(figures.name, figures.depth, figures.oldest_wait_seconds, figures.running, paused)
