"""A message to the followers of a job or of a user's jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jobs.engine.client.job import Job

#: `position` carries only a position in a user's feed, without an event.
Event = Literal["update", "complete", "log", "error", "reset", "position"]


@dataclass(frozen=True, eq=False)
class Message:
    """One message. All followers that it concerns share the object."""

    event: Event
    #: A job's version, or a position in a user's feed. A follower can't resume after a message without one.
    id: int | None = None
    job: Job | None = None
    #: Log lines, each with its `number`.
    lines: Sequence[dict[str, Any]] = ()
    #: The job's id, an error code and a sentence.
    error: dict[str, str | None] | None = None
    #: Later progress of the same job replaces this message.
    progress: bool = False

    @classmethod
    def of(cls, job: Job, *, id: int | None, progress: bool = False) -> Message:  # noqa: A002 (SSE's own word)
        return cls("complete" if job.status.terminal else "update", id, job, progress=progress)

    @classmethod
    def gone(cls, job_id: str, *, id: int | None = None) -> Message:  # noqa: A002 (SSE's own word)
        sentence = f"Job {job_id!r} no longer exists; it has expired."
        return cls("error", id, error={"job_id": job_id, "code": "job_not_found", "detail": sentence})

    @property
    def job_id(self) -> str | None:
        return self.job.job_id if self.job else None

    @cached_property
    def resource(self) -> str:
        """The job resource as JSON text."""
        assert self.job is not None
        return json.dumps(self.job.as_dict())
