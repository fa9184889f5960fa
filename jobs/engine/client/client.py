"""Submit, find, list, cancel and retry jobs: the only way into the queues."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
from pydantic_core import to_json

from jobs.engine.accounts.admission import Admission, refuse
from jobs.engine.author.documents import delete_user_blobs
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.records import Record
from jobs.engine.broker.store.store import Store
from jobs.engine.errors import (
    Conflict,
    Fault,
    Forbidden,
    IdempotencyKeyReused,
    InvalidParameters,
    InvalidRequest,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    TooManyActiveJobs,
    Unauthenticated,
)
from jobs.engine.files.files import FileStore
from jobs.engine.settings import Settings
from jobs.engine.states import Priority, Status

from .file_references import file_references
from .job import Job

if TYPE_CHECKING:
    from jobs.engine.catalogue.catalogue import Catalogue, JobType

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
    #: Is sent a signed message once the job has ended.
    webhook_url: str | None = None
    #: For jobs that the engine makes on behalf of a user (`user_id` is empty then): nobody's, so they count against
    #: no limit and stand in no list of theirs, but run with their documents, models and secrets.
    acts_for: str | None = None
    #: By default a new one.
    job_id: str | None = None


@dataclass(frozen=True)
class Part:
    """One job of a group that is to be stored as a whole."""

    submission: Submission
    #: Where it is in the request, as a JSON Pointer.
    at: str
    #: Steps of a pipeline, and their jobs, whose results its parameters refer to.
    references: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class NewGroup:
    """Who submits several jobs at once, and as what: `batch` or `pipeline`."""

    kind: str
    user_id: str
    admin: bool = False
    idempotency_key: str | None = None
    digest: str | None = None
    webhook_url: str | None = None


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


@dataclass(frozen=True)
class Looked:
    """A job, and the microseconds by which the request that reads it came too early (`admission.refuse`)."""

    job: Job
    early: int


class Client:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, connection: redis.Redis, settings: Settings, catalogue: Catalogue) -> None:
        self._settings = settings
        self.catalogue = catalogue
        self.store = Store(connection)
        self.files = FileStore(connection, settings)

    def ping(self) -> None:
        """Ask the broker whether it is there."""
        with broker_errors():
            self.store.connection.ping()

    def submit(self, submission: Submission, admission: Admission | None = None) -> Submitted:
        """Store a job and put it in its queue, in one atomic step, which lets the request in that asks for it.

        Raises:
            RateLimited: the user asks too often.
            TooManyActiveJobs: the user has MAX_ACTIVE_JOBS_PER_USER unfinished jobs.
            IdempotencyKeyReused: the key stands for another request.
            InvalidRequest: it is to wait for a job, or to use a file, that does not exist.
            Forbidden: it is to wait for somebody else's job, or to use somebody else's file.
            Unauthenticated: the user has been deleted meanwhile.
        """
        description, data = self._described(submission)
        shared = self._shared(submission)
        self._check_files(submission, shared.get("idempotency"))
        with broker_errors():
            (verdict, *subject), record = self.store.submit_one(
                shared, description, data, admission.as_json() if admission else b""
            )
        if verdict not in ("stored", "replayed"):
            self._refuse(verdict, subject[0] if subject else "")
        return Submitted(_job(subject[0], record), replayed=verdict == "replayed")

    def submit_batch(self, group: NewGroup, submissions: Sequence[Submission]) -> tuple[str, bool]:
        """Store all of these jobs or none, as `submit_group` does; pointers begin with /jobs/0."""
        return self.submit_group(group, [Part(each, at=f"/jobs/{place}") for place, each in enumerate(submissions)])

    def submit_group(self, group: NewGroup, parts: Sequence[Part]) -> tuple[str, bool]:
        """Store jobs that belong together, all of them or none, in one atomic step.

        Returns:
            The group's id, and whether an earlier request with this idempotency key has stored it.

        Raises:
            What `submit` does; faults point into the request.
        """
        described = [self._described(part.submission) for part in parts]
        for part, (description, _data) in zip(parts, described, strict=True):
            if part.references:
                description["references"] = part.references
        first = parts[0].submission
        shared = self._shared(
            replace(first, idempotency_key=group.idempotency_key, digest=group.digest, admin=group.admin)
        )
        shared |= {
            "group": uuid4().hex,
            "group_kind": group.kind,
            "job_ids": json.dumps([description["id"] for description, _data in described]),
        }
        if group.webhook_url:
            shared["webhook_url"] = group.webhook_url
        self._check_files_of(parts, shared.get("idempotency"))
        with broker_errors():
            verdict, *subject = self.store.submit(shared, described)
        if verdict == "unknown_dependency":
            raise InvalidRequest([_unknown_job(parts[int(subject[1]) - 1], subject[0])])
        if verdict not in ("stored", "replayed"):
            self._refuse(verdict, subject[0] if subject else "")
        return subject[0], verdict == "replayed"

    def check(self, submission: Submission) -> None:
        """Refuse what `submit` would refuse at any time: files that are not there, or not the user's."""
        self._check_files(submission, None)

    def submit_tick(self, submission: Submission, schedule_id: str, tick: int, following: int) -> bool:
        """Store a schedule's job for this tick and move the schedule on, in one atomic step. False: another host did.

        Raises:
            What `submit` does.
        """
        self.check(submission)
        shared = self._shared(submission) | {"schedule": schedule_id, "tick": tick, "following": following}
        with broker_errors():
            verdict, *subject = self.store.submit(shared, [self._described(submission)])
        if verdict not in ("stored", "replayed"):
            self._refuse(verdict, subject[0] if subject else "")
        return verdict == "stored"

    def _check_files_of(self, parts: Sequence[Part], idempotency: str | None) -> None:
        faults = []
        for part in parts:
            # What stands for a result is known when its step starts, and checked there.
            if not part.references:
                try:
                    self._check_files(part.submission, idempotency)
                except InvalidParameters as error:
                    faults += [replace(fault, pointer=f"{part.at}/params{fault.pointer}") for fault in error.faults]
        if faults:
            raise InvalidRequest(faults)

    def _check_files(self, submission: Submission, idempotency: str | None) -> None:
        references = file_references(submission.job_type.parameters, submission.params)
        try:
            self.files.check(references, submission.user_id, admin=submission.admin)
        except (Forbidden, InvalidParameters):
            # A repeat is answered as its first request was, also if the file has gone meanwhile.
            if idempotency is None or not self._is_bound(idempotency):
                raise

    def _is_bound(self, idempotency: str) -> bool:
        with broker_errors():
            return bool(self.store.connection.exists(idempotency))

    def _shared(self, submission: Submission) -> dict[str, Any]:
        shared: dict[str, Any] = {"user": submission.user_id}
        if submission.user_id:
            shared |= {"known_user": True, "limit": self._settings.max_active_jobs_per_user}
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
            "id": submission.job_id or uuid4().hex,
            "type": job_type.name,
            "queue": str(submission.priority or job_type.priority),
            "timeout": submission.timeout or job_type.timeout,
            "max_attempts": job_type.max_attempts,
            "max_running": job_type.max_running,
            "result_ttl": job_type.result_ttl or self._settings.result_ttl,
            "failure_ttl": self._settings.failure_ttl,
            "tags": list(submission.tags) or None,
            "depends_on": list(dict.fromkeys(submission.depends_on)) or None,
            "delay": submission.delay_seconds or None,
            "due": submission.run_at.timestamp() if submission.run_at else None,
            "webhook_url": submission.webhook_url,
            "acts_for": submission.acts_for,
        }
        present = {name: value for name, value in description.items() if value is not None}
        call: list[Any] = [job_type.func_name, None, [], submission.params]
        return present, to_json(call)

    def _refuse(self, verdict: str, subject: str) -> None:
        if verdict == "too_many":
            raise TooManyActiveJobs(
                f"You have {subject} unfinished jobs, and may have {self._settings.max_active_jobs_per_user}; "
                "wait for some to end.",
                retry_after=_LIMIT_RETRY_SECONDS,
            )
        if verdict == "early":
            refuse(int(subject))
        if verdict == "reused":
            raise IdempotencyKeyReused()
        if verdict == "foreign_dependency":
            raise Forbidden(f"Job {subject} in depends_on belongs to somebody else.")
        if verdict == "unknown_dependency":
            fault = Fault(f"there is no job {subject}; it may have expired", "unknown_job", parameter="depends_on")
            raise InvalidRequest([fault])
        raise Unauthenticated("This user no longer exists.")

    def submit_nobodys(self, submissions: Sequence[Submission], *, outbox_entry: str | None = None) -> None:
        """Store jobs that belong to nobody, all of them in one atomic step.

        With `outbox_entry` they are what it asks for, and it is taken out in the same step; nothing happens if
        somebody else has taken it out.
        """
        shared = {"user": ""} if outbox_entry is None else {"user": "", "outbox": outbox_entry}
        with broker_errors():
            if submissions:
                self.store.submit(shared, [self._described(each) for each in submissions])
            elif outbox_entry is not None:
                self.store.connection.lrem("wh:outbox", 1, outbox_entry)

    def find(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFound: there is none, or its results' time is over.
        """
        with broker_errors():
            records = self.store.find([job_id])
        return _job(job_id, records[0] if records else None)

    def look(self, job_id: str, admission: Admission) -> Looked:
        """Read one job for a request, which is let in by the same step.

        Whether it came too early is for the caller to say: that it may not see the job comes first.

        Raises:
            Unauthenticated: its user, or what they proved themselves with, is gone.
            JobNotFound
        """
        with broker_errors():
            early, record = self.store.look(job_id, admission.as_json())
        if early < 0:
            refuse(early)
        return Looked(_job(job_id, record), early)

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
        """Remove a user's jobs and files. Jobs that run are cancelled, and end as nobody's.

        The user must be gone already: a submission that comes later is refused in its own atomic step.
        """
        with broker_errors():
            for status in Status:
                while ids := self.store.indexed(user_id, str(status), at_most=500):
                    for job_id in ids:
                        self.store.remove(job_id, user_id)
            self.store.feeds.forget(user_id)
        self.files.delete_all(user_id)
        delete_user_blobs(user_id, self._settings)


def _job(job_id: str, record: Record | None) -> Job:
    if record is None:
        raise JobNotFound(f"There is no job {job_id[:64]!r}; it may have expired.")
    return Job.from_record(record)


def _unknown_job(part: Part, job_id: str) -> Fault:
    place = part.submission.depends_on.index(job_id)
    message = f"there is no job {job_id}; it may have expired"
    return Fault(message, "unknown_job", pointer=f"{part.at}/depends_on/{place}")


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
