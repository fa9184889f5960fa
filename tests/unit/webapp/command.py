"""The command line, called in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Flask

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from webapp.services import Services


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Calls what `flask --app webapp …` would."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()

    def __call__(self, *arguments: str, typed: str | None = None) -> Answer:
        result = self._runner.invoke(args=list(arguments), input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return Answer(result.exit_code, result.stdout, result.stderr)

    def submits(self, *arguments: str) -> str:
        """Submit a job, and return its id."""
        answer = self("jobs", "submit", *arguments)
        assert answer.code == 0, answer.err
        return answer.out.strip()


def end_next(services: Services, kind: str = "completed", **outcome: Any) -> str:
    """Take the next job and end it, as a worker does."""
    store = services.client.store
    claim = store.claim("host-1-w", "e1", ["high", "default", "low"])
    assert claim is not None
    store.finish(claim.job_id, "e1", "host-1-w", Outcome(OutcomeKind(kind), result="IjQyIg==", **outcome))
    return claim.job_id
