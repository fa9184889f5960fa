"""The steps of a bulk action: each looks at some jobs of one owner and acts on those that match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from pydantic_core import to_json

from jobs.engine.broker import malformed

from .records import text
from .scripts import Scripts

#: Jobs that one step looks at and acts on, at most. No other script waits longer than one step takes.
MOST_LOOKS = 100
MOST_ACTS = 10
#: How long the state of a bulk action is kept after its last step.
KEEP_SECONDS = 7 * 86_400


class BulkVerdict(StrEnum):
    MORE = "more"
    #: All jobs of this owner have been looked at.
    END = "end"
    #: The owner has too many unfinished jobs for a retry.
    FULL = "full"
    #: A message about the job that is to be deleted is not sent yet.
    BUSY = "busy"
    #: The bulk action is being cancelled, or its user was removed.
    STOPPED = "stopped"


@dataclass(frozen=True)
class BulkReply:
    verdict: BulkVerdict
    #: Counts of jobs since the bulk action began.
    looked: int
    matched: int
    done: int
    skipped: int

    @classmethod
    def read(cls, reply: Sequence[Any]) -> BulkReply:
        return cls(BulkVerdict(text(reply[0])), *map(int, reply[1:]))


@dataclass(frozen=True)
class BulkOrder:
    """What a bulk action does, and to which jobs."""

    job_id: str
    user_id: str
    action: str
    #: The conditions, as bulk.lua reads them.
    filter: dict[str, Any]
    #: The highest score in the indexes.
    highest: str
    #: A retry waits while the owner of a job has as many unfinished jobs.
    max_active: int

    @property
    def newest_first(self) -> bool:
        """The order in which bulk.lua looks at jobs."""
        return self.action == "cancel"


class BulkSteps:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection: Any = scripts.connection

    def step(self, order: BulkOrder, owner: str) -> BulkReply:
        """Look at the next jobs of an owner, and act on those that match."""
        what = (order.job_id, order.user_id, order.action, owner, to_json(order.filter), order.highest)
        reply = self._scripts.run("bulk", *what, order.max_active, MOST_LOOKS, MOST_ACTS, KEEP_SECONDS)
        return BulkReply.read(reply)

    def owner(self, job_id: str) -> str | None:
        """Return the owner at whose jobs a bulk action looks, or None if it has not begun."""
        found = cast("bytes | None", self._connection.hget(f"wh:bulk:{job_id}", "owner"))
        return None if found is None else malformed.text(found)

    def total(self, order: BulkOrder, owners: Sequence[str]) -> int:
        """Return at how many jobs the bulk action has looked, and will look: those that are left of these owners."""
        known, score, looked = self._connection.hmget(f"wh:bulk:{order.job_id}", "owner", "score", "looked")
        lowest = str(order.filter.get("lowest", "-inf"))
        pipeline = self._connection.pipeline(transaction=False)
        for owner in owners:
            is_current = score is not None and malformed.text(known or b"") == owner
            begin, end = lowest, order.highest
            if is_current and order.newest_first:
                end = f"({text(score)}"
            elif is_current:
                begin = f"({text(score)}"
            for status in order.filter["statuses"]:
                pipeline.zcount(f"wh:jobs:{owner}:{status}", begin, end)
        return malformed.whole(looked) + sum(malformed.whole(count) for count in malformed.replies(pipeline))

    def note_end(self, job_id: str, how: str, keep_entries: int, fields: Sequence[str]) -> None:
        """Add an entry to the audit log, once for each `how`."""
        self._scripts.run("bulk_end", job_id, how, keep_entries, *fields)
