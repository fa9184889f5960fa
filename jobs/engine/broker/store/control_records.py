"""What an operator has paused: the fields of `wh:control`, one for each queue or job type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.engine.broker.malformed import replies, text

from .scripts import Scripts

KEY = "wh:control"


class ControlRecords:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._connection: Any = scripts.connection

    def read(self) -> tuple[datetime, dict[str, str]]:
        """Return the broker's time, and the pauses, as JSON, by `queue:<queue>` and `type:<job type>`."""
        pipeline = self._connection.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(KEY)
        (seconds, micros), fields = replies(pipeline)
        now = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
        return now, {text(name): text(value) for name, value in (fields or {}).items()}

    def pause(self, subject: str, pause: str) -> None:
        """Pause a queue or a job type. No claim that begins after the reply takes a job of it."""
        self._scripts.run("pause", subject, pause)

    def resume(self, subject: str) -> None:
        """End a pause, and wake the workers that may take the jobs."""
        self._scripts.run("resume", subject)
