"""The names of queues: a priority, and the needs of the queue's jobs, as in `high` and `default@gpu+large`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .states import Priority

#: What a job needs of its worker, and what a worker can do.
NEED = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NEED_CHARACTERS = 40
#: The needs of one job type.
MAX_NEEDS = 8
NEED_FORM = f"lower-case words joined by hyphens, as in gpu or large-memory, at most {MAX_NEED_CHARACTERS} characters"


def is_need(word: object) -> bool:
    return isinstance(word, str) and len(word) <= MAX_NEED_CHARACTERS and bool(NEED.fullmatch(word))


@dataclass(frozen=True)
class QueueName:
    """A queue of Workhorse. Jobs with the same priority and the same needs wait in one queue."""

    priority: Priority
    #: Sorted, without repetitions.
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.priority}@{'+'.join(self.needs)}" if self.needs else str(self.priority)

    @classmethod
    def of(cls, priority: Priority, needs: Iterable[str]) -> QueueName:
        return cls(priority, tuple(sorted(set(needs))))

    @classmethod
    @lru_cache(maxsize=1_024)  # every poll reads the name twice, and there are few
    def read(cls, name: str) -> QueueName | None:
        """Read the name of a queue. Return None if it is a queue of another RQ application."""
        priority, at, needs = name.partition("@")
        words = needs.split("+") if at else []
        if priority not in tuple(Priority) or not all(is_need(word) for word in words):
            return None
        queue = cls.of(Priority(priority), words)
        return queue if str(queue) == name else None


def priority_of(queue: str) -> str:
    """Return the priority of a queue's jobs. For a queue of another RQ application, it is the queue's name."""
    known = QueueName.read(queue)
    return str(known.priority) if known else queue


def needs_of(queue: str) -> tuple[str, ...]:
    """Return the needs of a queue's jobs."""
    known = QueueName.read(queue)
    return known.needs if known else ()


@dataclass(frozen=True)
class Ability:
    """Which queues a worker serves."""

    priorities: tuple[Priority, ...] = tuple(Priority)
    #: The needs that it meets.
    can: frozenset[str] = frozenset()
    #: If not empty: it only takes jobs that have at least one of these needs.
    only: frozenset[str] = frozenset()

    def serves(self, queue: QueueName) -> bool:
        meets = self.can.issuperset(queue.needs)
        return queue.priority in self.priorities and meets and not (self.only and self.only.isdisjoint(queue.needs))

    def served(self, names: Iterable[str]) -> list[str]:
        """Return the queues that a worker serves, in the order in which it empties them.

        Args:
            names: the queues in the broker. Those without needs are served even if they are not among them.
        """
        known = {queue for name in names if (queue := QueueName.read(name))}
        known.update(QueueName(priority) for priority in Priority)
        return in_order(str(queue) for queue in known if self.serves(queue))


def place_of(queue: QueueName) -> tuple[int, int, tuple[str, ...]]:
    """Return a key to sort queues by priority, those with the most needs first, since the fewest workers serve them."""
    return list(Priority).index(queue.priority), -len(queue.needs), queue.needs


def in_order(names: Iterable[str]) -> list[str]:
    """Sort the names of queues in the order in which workers empty them. Those of other RQ applications come last."""
    read = {name: QueueName.read(name) for name in names}
    ours = sorted((queue for queue in read.values() if queue), key=place_of)
    return [*map(str, ours), *sorted(name for name, queue in read.items() if queue is None)]
