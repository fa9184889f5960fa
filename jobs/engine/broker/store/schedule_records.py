"""The records of schedules."""

from __future__ import annotations

from typing import Any

from jobs.engine.broker.malformed import readable, replies
from jobs.engine.broker.malformed import text as readable_text

from .records import text
from .scripts import Scripts
from .verdicts import ScheduleVerdict


class ScheduleRecords:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection: Any = scripts.connection

    def add(self, schedule_id: str, user_id: str, record: str, first_tick: int, at_most: int) -> ScheduleVerdict:
        return ScheduleVerdict(text(self._scripts.run("schedule", schedule_id, user_id, record, first_tick, at_most)))

    def remove(self, schedule_id: str) -> bool:
        return bool(self._scripts.run("unschedule", schedule_id))

    def skip_tick(self, schedule_id: str, tick: int, following: int, reason: str) -> None:
        self._scripts.run("skip_tick", schedule_id, tick, following, reason)

    def due(self, at_most: int) -> tuple[float, list[tuple[str, int, str, str]]]:
        """The broker's time; and id, tick, user and record of the schedules whose tick has come."""
        now, due = self._scripts.run("due_schedules", at_most)
        return float(now), [
            (readable_text(each[0]), int(float(each[1])), readable_text(each[2]), readable_text(each[3]))
            for each in due
        ]

    def find(self, schedule_id: str) -> tuple[dict[str, str], float | None]:
        """Its fields, none if there is no such schedule, and its next tick."""
        pipeline = self._connection.pipeline()
        pipeline.hgetall(f"wh:schedule:{schedule_id}")
        pipeline.zscore("wh:schedules", schedule_id)
        fields, tick = replies(pipeline)
        return {readable_text(name): readable_text(value) for name, value in (fields or {}).items()}, tick

    def of_user(self, user_id: str) -> list[str]:
        key = f"wh:schedules:{user_id}"
        return [readable_text(each) for each in readable(key, lambda: self._connection.smembers(key)) or ()]
