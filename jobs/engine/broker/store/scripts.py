"""Run scripts by their names. Each one is an atomic step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from .sources import source

_SCRIPTS = (
    "submit claim heartbeat report finish cancel retry remove promote release "
    "suspects sweep make_room announce note_worker drain find look page cancel_group group "
    "schedule unschedule change_schedule skip_tick due_schedules metrics"
).split()


class Scripts:
    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self._loaded = {name: connection.register_script(source(name)) for name in _SCRIPTS}

    def run(self, script: str, *arguments: str | bytes | int | float) -> Any:
        """Run a script, and return its reply."""
        try:
            return self.connection.execute_command("EVALSHA", self._loaded[script].sha, 0, *arguments)
        except redis.exceptions.NoScriptError:
            # A broker that has restarted knows no scripts; this one has not run at all.
            return self._loaded[script](args=list(arguments))

    def run_all(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Run scripts one after the other in one round trip, and return their replies."""
        pipeline = self.connection.pipeline(transaction=False)
        for script, arguments in calls:
            pipeline.execute_command("EVALSHA", self._loaded[script].sha, 0, *arguments)
        answers = pipeline.execute(raise_on_error=False)
        for place, (script, arguments) in enumerate(calls):
            if isinstance(answers[place], redis.exceptions.NoScriptError):
                # A broker that has restarted knows no scripts; this one has not run at all.
                answers[place] = self.run(script, *arguments)
            elif isinstance(answers[place], Exception):
                raise answers[place]
        return answers

    def add_to(self, pipeline: redis.client.Pipeline, script: str, *arguments: str | bytes | int | float) -> None:
        """Add a script to the commands of a pipeline."""
        self._loaded[script](args=list(arguments), client=pipeline)
