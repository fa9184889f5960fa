"""Write and read the records of schedules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.engine.broker.malformed import readable, replies
from jobs.engine.broker.malformed import text as readable_text

from .records import text
from .scripts import Scripts
from .verdicts import ChangeVerdict, ScheduleVerdict


@dataclass(frozen=True)
class DueTick:
    """A tick of a schedule that is due, with the record as it was read."""

    schedule_id: str
    #: When it was due, in whole seconds since 1970.
    tick: int
    user_id: str
    record: str
    #: The number of changes of the schedule so far.
    revision: str
    #: It waited for a job of the schedule to end.
    waited: bool

    @classmethod
    def read(cls, row: Sequence[bytes]) -> DueTick:
        schedule_id, tick, user_id, record, revision, waited = (readable_text(part) for part in row)
        return cls(schedule_id, int(float(tick)), user_id, record, revision, waited == "1")


class ScheduleRecords:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection: Any = scripts.connection

    def now(self) -> float:
        """Return the broker's time, in seconds since 1970."""
        seconds, microseconds = self._connection.time()
        return float(seconds + microseconds / 1e6)

    def add(self, schedule_id: str, user_id: str, record: str, first_tick: int, at_most: int) -> ScheduleVerdict:
        """Store a schedule, unless its user has `at_most` already."""
        return ScheduleVerdict(text(self._scripts.run("schedule", schedule_id, user_id, record, first_tick, at_most)))

    def remove(self, schedule_id: str) -> bool:
        """Remove a schedule. Return False if it does not exist."""
        return bool(self._scripts.run("unschedule", schedule_id))

    def change(
        self, schedule_id: str, revision: str, record: str, *, pause: str, next_tick: int | None, may_wait: bool
    ) -> ChangeVerdict:
        """Replace the record and the pause of a schedule, unless it has been changed since `revision`.

        Args:
            pause: the pause as JSON; empty if it is not paused.
            next_tick: seconds since 1970; None to keep the next tick.
            may_wait: if False, a tick that waits for a job to end is recorded as skipped.
        """
        tick = "" if next_tick is None else next_tick
        arguments = (schedule_id, revision, record, pause, tick, "1" if may_wait else "")
        return ChangeVerdict(text(self._scripts.run("change_schedule", *arguments)))

    def skip_tick(self, run: dict[str, Any], outcome: str, problem: str) -> None:
        """Record that a tick starts no job, and set the schedule to its next one."""
        self._scripts.run("skip_tick", json.dumps(run), outcome, problem)

    def due(self, at_most: int) -> tuple[float, list[DueTick]]:
        """Return the broker's time, and the ticks that are due: at most this many, and as many that waited."""
        now, due = self._scripts.run("due_schedules", at_most)
        return float(now), [DueTick.read(row) for row in due]

    def find(self, schedule_id: str) -> tuple[dict[str, str], float | None]:
        """Return the fields of a schedule, empty if it does not exist, and its next tick."""
        pipeline = self._connection.pipeline()
        pipeline.hgetall(f"wh:schedule:{schedule_id}")
        pipeline.zscore("wh:schedules", schedule_id)
        fields, tick = replies(pipeline)
        return {readable_text(name): readable_text(value) for name, value in (fields or {}).items()}, tick

    def runs(self, schedule_id: str) -> list[str]:
        """Return the last ticks of a schedule, the last one first, each as due time, outcome and job."""
        key = f"wh:schedule:{schedule_id}:runs"
        return [readable_text(each) for each in readable(key, lambda: self._connection.lrange(key, 0, -1)) or ()]

    def of_user(self, user_id: str) -> list[str]:
        """Return the ids of a user's schedules, in no order."""
        key = f"wh:schedules:{user_id}"
        return [readable_text(each) for each in readable(key, lambda: self._connection.smembers(key)) or ()]
