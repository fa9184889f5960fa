"""What those who follow jobs are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jobs.engine.client.job import Job

#: `position` tells the place in a user's feed alone, without anything having happened.
Event = Literal["update", "complete", "log", "error", "reset", "position"]


@dataclass(frozen=True, eq=False)
class Message:
    """One message, made once for all who are told it."""

    event: Event
    #: A job's version, or the position in a user's feed. Messages without one are not resumed from.
    id: int | None = None
    job: Job | None = None
    #: Of a log: its lines, each with its `number`.
    lines: Sequence[dict[str, Any]] = ()
    #: Of an error: its job, its code and a sentence.
    error: dict[str, str | None] | None = None
    #: Whether later progress of the same job makes this worthless.
    progress: bool = False

    @classmethod
    def of(cls, job: Job, *, id: int | None, progress: bool = False) -> Message:  # noqa: A002 (SSE's own word)
        return cls("complete" if job.status.terminal else "update", id, job, progress=progress)

    @classmethod
    def gone(cls, job_id: str, *, id: int | None = None) -> Message:  # noqa: A002 (SSE's own word)
        sentence = f"There is no job {job_id!r} any more; it has expired."
        return cls("error", id, error={"job_id": job_id, "code": "job_not_found", "detail": sentence})

    @property
    def job_id(self) -> str | None:
        return self.job.job_id if self.job else None

    @cached_property
    def resource(self) -> str:
        """The job resource as JSON text."""
        assert self.job is not None
        return json.dumps(self.job.as_dict())
