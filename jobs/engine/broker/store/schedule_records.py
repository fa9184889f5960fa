"""Write and read the records of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.engine.broker.malformed import readable, replies
from jobs.engine.broker.malformed import text as readable_text

from .records import text
from .scripts import Scripts
from .verdicts import ScheduleVerdict


@dataclass(frozen=True)
class DueSchedule:
    schedule_id: str
    #: When it was due, in whole seconds since 1970.
    tick: int
    user_id: str
    record: str

    @classmethod
    def read(cls, row: Sequence[bytes]) -> DueSchedule:
        schedule_id, tick, user_id, record = (readable_text(part) for part in row)
        return cls(schedule_id, int(float(tick)), user_id, record)


class ScheduleRecords:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection: Any = scripts.connection

    def add(self, schedule_id: str, user_id: str, record: str, first_tick: int, at_most: int) -> ScheduleVerdict:
        """Store a schedule, unless its user has `at_most` already."""
        return ScheduleVerdict(text(self._scripts.run("schedule", schedule_id, user_id, record, first_tick, at_most)))

    def remove(self, schedule_id: str) -> bool:
        """Remove a schedule. Return False if it does not exist."""
        return bool(self._scripts.run("unschedule", schedule_id))

    def skip_tick(self, schedule_id: str, tick: int, following: int, reason: str) -> None:
        """Set a schedule to its next tick, and record why this one was skipped."""
        self._scripts.run("skip_tick", schedule_id, tick, following, reason)

    def due(self, at_most: int) -> tuple[float, list[DueSchedule]]:
        """Return the broker's time, and the schedules that are due."""
        now, due = self._scripts.run("due_schedules", at_most)
        return float(now), [DueSchedule.read(row) for row in due]

    def find(self, schedule_id: str) -> tuple[dict[str, str], float | None]:
        """Return the fields of a schedule, empty if it does not exist, and its next tick."""
        pipeline = self._connection.pipeline()
        pipeline.hgetall(f"wh:schedule:{schedule_id}")
        pipeline.zscore("wh:schedules", schedule_id)
        fields, tick = replies(pipeline)
        return {readable_text(name): readable_text(value) for name, value in (fields or {}).items()}, tick

    def of_user(self, user_id: str) -> list[str]:
        """Return the ids of a user's schedules, in no order."""
        key = f"wh:schedules:{user_id}"
        return [readable_text(each) for each in readable(key, lambda: self._connection.smembers(key)) or ()]
