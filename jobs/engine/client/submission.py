"""A submission: what a caller asks for, and how it is described to the script that stores it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic_core import to_json

from jobs.engine.queue_names import QueueName
from jobs.engine.settings import Settings
from jobs.engine.states import Priority

if TYPE_CHECKING:
    from jobs.engine.catalogue.job_type import JobType


@dataclass(frozen=True)
class Submission:
    """One job to store: its type, its validated parameters, its owner and its options."""

    job_type: JobType
    params: dict[str, Any]
    user_id: str
    priority: Priority | None = None
    #: Counted by the broker's clock from the moment of storing. Excludes `run_at`.
    delay_seconds: float | None = None
    run_at: datetime | None = None
    timeout: int | None = None
    #: The job is cancelled unless it has started by then. Excludes `start_within_seconds`.
    start_by: datetime | None = None
    #: The same, counted from the moment of storing or, for a delayed job, from the time at which it is due.
    start_within_seconds: float | None = None
    #: Makes jobs of this type and owner equal, in the place of their parameters.
    unique_key: str | None = None
    depends_on: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    #: Identifies the whole request. The same key with another digest is refused.
    digest: str | None = None
    #: May depend on other users' jobs and use their files.
    admin: bool = False
    #: Receives a signed message when the job has ended.
    webhook_url: str | None = None
    #: The user for whom the engine itself makes this job; `user_id` is empty then. The job runs with that user's
    #: documents, models and secrets, but is in none of their lists and counts against none of their limits.
    acts_for: str | None = None
    #: Unfinished jobs that the user may have beyond MAX_ACTIVE_JOBS_PER_USER when this one is stored.
    over_limit: int = 0
    #: A new one by default.
    job_id: str | None = None


@dataclass(frozen=True)
class Part:
    """One job of a group that is stored as a whole."""

    submission: Submission
    #: Its place in the request, as a JSON Pointer.
    at: str
    #: The steps whose results its parameters refer to, with their job ids.
    references: tuple[tuple[int, str], ...] = ()


def described(submission: Submission, settings: Settings) -> tuple[dict[str, Any], bytes]:
    """Return the description of a job that submit.lua reads, and the job's data in RQ's format."""
    job_type, rules = submission.job_type, submission.job_type.rules
    user_id = submission.acts_for or submission.user_id or None
    description = {
        "id": submission.job_id or uuid4().hex,
        "type": job_type.name,
        "queue": str(QueueName.of(submission.priority or job_type.priority, job_type.needs)),
        "timeout": submission.timeout or job_type.timeout,
        "max_attempts": job_type.max_attempts,
        "max_running": job_type.max_running,
        "result_ttl": job_type.result_ttl or settings.result_ttl,
        "failure_ttl": settings.failure_ttl,
        "tags": list(submission.tags) or None,
        "depends_on": list(dict.fromkeys(submission.depends_on)) or None,
        "delay": submission.delay_seconds or None,
        "due": submission.run_at.timestamp() if submission.run_at else None,
        "webhook_url": submission.webhook_url,
        "acts_for": submission.acts_for,
        "limits": json.dumps(limits) if (limits := rules.limit_entries(submission.params, user_id)) else None,
        "unique": rules.unique(submission.params, submission.user_id, submission.unique_key),
        **_start_by(submission),
    }
    present = _without_nulls(description)
    call: list[Any] = [job_type.func_name, None, [], submission.params]
    return present, to_json(call)


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave fields out instead of sending null: Lua takes cjson's null for true."""
    return {name: value for name, value in fields.items() if value is not None}


def _start_by(submission: Submission) -> dict[str, float]:
    if submission.start_by is not None:
        return {"start_by": submission.start_by.timestamp()}
    within = submission.start_within_seconds or submission.job_type.start_within
    return {"start_within": within} if within is not None else {}


def shared_fields(submission: Submission, settings: Settings) -> dict[str, Any]:
    """Return the fields of a request that submit.lua reads once for all its jobs."""
    shared: dict[str, Any] = {"user": submission.user_id}
    if submission.user_id:
        shared |= {"known_user": True, "limit": settings.max_active_jobs_per_user + submission.over_limit}
    # Left out instead of null: Lua takes cjson's null for true.
    if submission.admin:
        shared["admin"] = True
    if submission.idempotency_key is not None:
        key = sha256(submission.idempotency_key.encode()).hexdigest()[:32]
        digest = submission.digest or _digest(submission)
        shared |= {"idempotency": f"wh:idempotency:{submission.user_id}:{key}", "digest": digest}
    return shared


def _digest(submission: Submission) -> str:
    call = json.dumps([submission.job_type.name, submission.params, str(submission)], sort_keys=True, default=str)
    return sha256(call.encode()).hexdigest()
