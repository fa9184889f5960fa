"""What a bulk action can do, and what it returns: a small module, since every work horse is a copy of its zygote."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


@dataclass(frozen=True)
class BulkCounts:
    """What a bulk action has done."""

    #: Jobs that matched the filter when it began.
    matched: int
    #: Jobs that were cancelled, queued again or deleted.
    done: int
    #: Jobs for which that was not possible, for example because they had changed meanwhile.
    skipped: int

    def __str__(self) -> str:
        return f"{self.matched:,} matched, {self.done:,} done, {self.skipped:,} skipped"
