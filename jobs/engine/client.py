"""Submit, find, list, cancel and retry jobs: the only way into the queues."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis

from .connection import broker_errors
from .errors import (
    Conflict,
    Fault,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    TooManyActiveJobs,
    Unauthenticated,
)
from .resource import Job
from .settings import Settings
from .states import Priority, Status
from .store import Store

if TYPE_CHECKING:
    from .catalogue import Catalogue, JobType

#: How long a caller over its limit of active jobs is asked to wait.
_LIMIT_RETRY_SECONDS = 5


@dataclass(frozen=True)
class Submission:
    """One job to be: a job type and its validated parameters, who asks, and how it is to run."""

    job_type: JobType
    params: dict[str, Any]
    user_id: str
    priority: Priority | None = None
    #: From now on, on the broker's clock. Excludes `run_at`.
    delay_seconds: float | None = None
    run_at: datetime | None = None
    timeout: int | None = None
    depends_on: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    #: Of the whole request: a key that comes back with another one is refused.
    digest: str | None = None
    #: May wait for other users' jobs.
    admin: bool = False


@dataclass(frozen=True)
class Submitted:
    job: Job
    replayed: bool


@dataclass(frozen=True)
class Page:
    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True)
class LogPage:
    lines: list[dict[str, Any]]
    next_cursor: str | None


class Client:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, connection: redis.Redis, settings: Settings, catalogue: Catalogue) -> None:
        self._settings = settings
        self.catalogue = catalogue
        self.store = Store(connection)

    def ping(self) -> None:
        """Ask the broker whether it is there."""
        with broker_errors():
            self.store.connection.ping()

    def submit(self, submission: Submission) -> Submitted:
        """Store a job and put it in its queue, in one atomic step.

        Raises:
            TooManyActiveJobs: the user has MAX_ACTIVE_JOBS_PER_USER unfinished jobs.
            IdempotencyKeyReused: the key stands for another request.
            InvalidRequest: it is to wait for a job that does not exist.
            Forbidden: it is to wait for somebody else's job.
            Unauthenticated: the user has been deleted meanwhile.
        """
        description, data = self._described(submission)
        with broker_errors():
            answer = self.store.submit(self._shared(submission), [(description, data)])
        verdict, subject = answer[0], answer[1] if len(answer) > 1 else ""
        if verdict not in ("stored", "replayed"):
            self._refuse(verdict, subject)
        return Submitted(self.find(subject), replayed=verdict == "replayed")

    def _shared(self, submission: Submission) -> dict[str, Any]:
        shared: dict[str, Any] = {
            "user": submission.user_id,
            "known_user": True,
            "limit": self._settings.max_active_jobs_per_user,
        }
        # Left out, not null: Lua takes cjson's null for true.
        if submission.admin:
            shared["admin"] = True
        if submission.idempotency_key is not None:
            key = sha256(submission.idempotency_key.encode()).hexdigest()[:32]
            digest = submission.digest or _digest(submission)
            shared |= {"idempotency": f"wh:idempotency:{submission.user_id}:{key}", "digest": digest}
        return shared

    def _described(self, submission: Submission) -> tuple[dict[str, Any], bytes]:
        job_type = submission.job_type
        description = {
            "id": uuid4().hex,
            "type": job_type.name,
            "queue": str(submission.priority or job_type.priority),
            "timeout": submission.timeout or job_type.timeout,
            "max_attempts": job_type.max_attempts,
            "result_ttl": job_type.result_ttl or self._settings.result_ttl,
            "failure_ttl": self._settings.failure_ttl,
            "tags": list(submission.tags) or None,
            "depends_on": list(dict.fromkeys(submission.depends_on)) or None,
            "delay": submission.delay_seconds or None,
            "due": submission.run_at.timestamp() if submission.run_at else None,
        }
        present = {name: value for name, value in description.items() if value is not None}
        call: list[Any] = [job_type.func_name, None, [], submission.params]
        return present, json.dumps(call, separators=(",", ":"), ensure_ascii=False).encode()

    def _refuse(self, verdict: str, subject: str) -> None:
        if verdict == "too_many":
            raise TooManyActiveJobs(
                f"You have {subject} unfinished jobs, and may have {self._settings.max_active_jobs_per_user}; "
                "wait for some to end.",
                retry_after=_LIMIT_RETRY_SECONDS,
            )
        if verdict == "reused":
            raise IdempotencyKeyReused()
        if verdict == "foreign_dependency":
            raise Forbidden(f"Job {subject} in depends_on belongs to somebody else.")
        if verdict == "unknown_dependency":
            fault = Fault(f"there is no job {subject}; it may have expired", "unknown_job", parameter="depends_on")
            raise InvalidRequest([fault])
        raise Unauthenticated("This user no longer exists.")

    def find(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFound: there is none, or its results' time is over.
        """
        with broker_errors():
            records = self.store.find([job_id])
        if not records:
            raise JobNotFound(f"There is no job {job_id[:64]!r}; it may have expired.")
        return Job.from_record(records[0])

    def page(
        self,
        user_id: str,
        *,
        status: Status | None = None,
        job_type: str | None = None,
        tag: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """A user's jobs, newest first. With a job type or a tag it may be short, and still have a next page.

        Raises:
            InvalidRequest: the cursor is none that a page gave out.
        """
        highest, after = _read_cursor(cursor) if cursor else (_score(created_before, "+inf"), "")
        with broker_errors():
            ids, last = self.store.page(
                user_id,
                [str(status)] if status else [str(each) for each in Status],
                highest=highest,
                lowest=_score(created_after, "-inf"),
                after=after,
                limit=limit,
                job_type=job_type or "",
                tag=tag or "",
            )
            records = self.store.find(ids) if ids else []
        return Page([Job.from_record(record) for record in records], _cursor(*last) if last else None)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job. One that waits is cancelled at once; one that runs is stopped by its worker within 5 s.

        Raises:
            JobNotFound, JobEnded
        """
        with broker_errors():
            verdict = self.store.cancel(job_id)
        job = self.find(job_id)
        if verdict == "ended":
            raise JobEnded(f"The job is {job.status} and can't be cancelled.")
        return job

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again, from its checkpoint, with all its attempts.

        Raises:
            JobNotFound, JobNotEnded
            Conflict: a job that it waits for has failed.
        """
        with broker_errors():
            verdict, *subject = self.store.retry(job_id)
        job = self.find(job_id)
        if verdict == "not_ended":
            raise JobNotEnded(f"The job is {job.status}; only a failed or cancelled job can be retried.")
        if verdict == "doomed":
            raise Conflict(f"It waits for job {subject[0]}, which has not completed; retry that one first.")
        return job

    def logs(self, job_id: str, *, cursor: str | None = None, limit: int = 1_000) -> LogPage:
        """What a job printed and logged, oldest first. The cursor goes on from where a page ended, also later.

        Raises:
            InvalidRequest: the cursor is none that a page gave out.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
            raise InvalidRequest([_bad_cursor()])
        with broker_errors():
            lines, first = self.store.logs(job_id, int(cursor or 0), limit)
        entries = [json.loads(line) for line in lines]
        return LogPage(entries, str(first + len(lines)) if len(lines) == limit else None)

    def events(self, job_id: str) -> list[dict[str, Any]]:
        with broker_errors():
            return self.store.events(job_id)

    def counts(self, user_id: str) -> dict[Status, int]:
        with broker_errors():
            return dict(zip(Status, self.store.count(user_id, [str(each) for each in Status]), strict=True))

    def delete_all(self, user_id: str) -> None:
        """Remove a user's jobs. Those that run are cancelled, and end as nobody's.

        The user must be gone already: a submission that comes later is refused in its own atomic step.
        """
        with broker_errors():
            for status in Status:
                while ids := self.store.indexed(user_id, str(status), at_most=500):
                    for job_id in ids:
                        self.store.remove(job_id, user_id)


def _digest(submission: Submission) -> str:
    call = json.dumps([submission.job_type.name, submission.params, str(submission)], sort_keys=True, default=str)
    return sha256(call.encode()).hexdigest()


def _score(moment: datetime | None, default: str) -> str:
    return f"({int(moment.timestamp() * 1_000_000)}" if moment else default


def _cursor(score: str, job_id: str) -> str:
    return urlsafe_b64encode(f"{score}:{job_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        score, job_id = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(":", 1)
    except ValueError:
        raise InvalidRequest([_bad_cursor()]) from None
    if not (score.isascii() and score.isdigit()):
        raise InvalidRequest([_bad_cursor()])
    return score, job_id


def _bad_cursor() -> Fault:
    return Fault("is none that a page gave out", "bad_cursor", parameter="cursor")
