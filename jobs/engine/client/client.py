"""Submit, find, list, cancel and retry jobs: the only way into the queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import redis

from jobs.engine.accounts.admission import Admission, refuse_if_gone
from jobs.engine.author.blobs import delete_user_blobs
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.history import Event
from jobs.engine.broker.store.records import Record
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.store.verdicts import RetryReply, SubmitVerdict
from jobs.engine.files.files import FileStore
from jobs.engine.settings import Settings
from jobs.engine.states import Status

from .file_checks import check_files, check_unless_repeated
from .job import Job
from .listing import LogPage, Page, job_cursor, read_job_cursor, read_log_cursor, score
from .refusals import job_not_found, raise_unless_cancelled, raise_unless_retried, raise_unless_stored
from .submission import Submission, described, shared_fields

if TYPE_CHECKING:
    from jobs.engine.catalogue.catalogue import Catalogue


@dataclass(frozen=True)
class Submitted:
    job: Job
    #: An earlier request with the same idempotency key has stored it.
    replayed: bool = False
    #: It is the owner's job with the same unique key, which has not ended.
    deduplicated: bool = False


@dataclass(frozen=True)
class Looked:
    """A job, and the microseconds by which the request that reads it is over the rate limit."""

    job: Job
    early: int


class Client:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, connection: redis.Redis, settings: Settings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.store = Store(connection)
        self.files = FileStore(connection, settings)

    def ping(self) -> None:
        """Check that the broker can be reached."""
        with broker_errors():
            self.store.connection.ping()

    # --- into the queues -----------------------------------------------------------------

    def submit(self, submission: Submission, admission: Admission | None = None) -> Submitted:
        """Store a job and put it in its queue. The same atomic step admits the request that asks for it.

        Raises:
            RateLimited: the user has sent too many requests.
            TooManyActiveJobs: the user has MAX_ACTIVE_JOBS_PER_USER unfinished jobs.
            IdempotencyKeyReused: the key was used for another request.
            DuplicateJob: another job has its unique key, and can't or must not be returned.
            InvalidRequest: a job that it depends on, or a file that it names, does not exist; or it would never start.
            Forbidden: a job that it depends on, or a file that it names, belongs to another user.
            Unauthenticated: the user has been deleted, or the credential was revoked.
        """
        shared = shared_fields(submission, self.settings)
        check_unless_repeated(self.store, shared, lambda: check_files(self.files, submission))
        jobs = [described(submission, self.settings)]
        with broker_errors():
            reply = self.store.submit(shared, jobs, admission.as_json() if admission else b"")
        raise_unless_stored(reply, self.settings.max_active_jobs_per_user)
        return Submitted(
            _job(reply.subject_id, reply.record),
            replayed=reply.verdict is SubmitVerdict.REPLAYED,
            deduplicated=reply.verdict is SubmitVerdict.DEDUPLICATED,
        )

    def submit_unowned(self, submissions: Sequence[Submission], *, outbox_entry: str | None = None) -> None:
        """Store jobs that no user owns, in one atomic step.

        With `outbox_entry`, the same step removes that entry from the outbox. Nothing is stored if another process
        has already removed it.
        """
        shared = {"user": ""} if outbox_entry is None else {"user": "", "outbox": outbox_entry}
        with broker_errors():
            if submissions:
                reply = self.store.submit(shared, [described(each, self.settings) for each in submissions])
                raise_unless_stored(reply, self.settings.max_active_jobs_per_user)
            elif outbox_entry is not None:
                self.store.connection.lrem("wh:outbox", 1, outbox_entry)

    def check(self, submission: Submission) -> None:
        """Refuse a submission whose files don't exist or belong to another user, without storing anything."""
        check_files(self.files, submission)

    # --- one job ---------------------------------------------------------------------------

    def find(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFound: it does not exist, or has expired.
        """
        with broker_errors():
            records = self.store.find([job_id])
        return _job(job_id, records[0] if records else None)

    def look(self, job_id: str, admission: Admission) -> Looked:
        """Read one job for a request, which the same step admits.

        A request that came too early is not refused here: the caller first checks that the user may see the job.

        Raises:
            Unauthenticated: the user has been deleted, or the credential was revoked.
            JobNotFound
        """
        with broker_errors():
            early, record = self.store.look(job_id, admission.as_json())
        refuse_if_gone(early)
        return Looked(_job(job_id, record), early)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job. A waiting job is cancelled at once; the worker of a running one stops it within 5 s.

        Raises:
            JobNotFound, JobEnded
        """
        with broker_errors():
            verdict = self.store.cancel(job_id)
        job = self.find(job_id)
        raise_unless_cancelled(verdict, job)
        return job

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again, from its checkpoint, with all its attempts.

        Raises:
            JobNotFound, JobNotEnded
            Conflict: a job that it depends on has failed.
            DuplicateJob: another job has its unique key.
            TooManyActiveJobs: its owner has MAX_ACTIVE_JOBS_PER_USER unfinished jobs.
        """
        with broker_errors():
            reply = self.store.retry(job_id, self.settings.max_active_jobs_per_user)
        return self._retried(job_id, reply)

    def check_retry(self, job_id: str) -> None:
        """Raise what `retry` would raise, except for TooManyActiveJobs, without changing anything."""
        with broker_errors():
            reply = self.store.check_retry(job_id)
        self._retried(job_id, reply)

    def _retried(self, job_id: str, reply: RetryReply) -> Job:
        job = self.find(job_id)
        raise_unless_retried(reply, job, self.settings.max_active_jobs_per_user)
        return job

    def logs(self, job_id: str, *, cursor: str | None = None, limit: int = 1_000) -> LogPage:
        """Return what a job printed and logged, oldest line first. A cursor stays valid while the job writes more.

        Raises:
            InvalidRequest: the cursor is not valid.
        """
        start = read_log_cursor(cursor)
        with broker_errors():
            lines, first = self.store.logs(job_id, start, limit)
        return LogPage(lines, str(first + len(lines)) if len(lines) == limit else None)

    def events(self, job_id: str) -> list[Event]:
        with broker_errors():
            return self.store.events(job_id)

    # --- a user's jobs ---------------------------------------------------------------------

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
        """Return a user's jobs, newest first.

        A page that is filtered by job type or tag may be short and still have a next page.

        Raises:
            InvalidRequest: the cursor is not valid.
        """
        highest, after = read_job_cursor(cursor) if cursor else (score(created_before, "+inf"), "")
        with broker_errors():
            ids, last = self.store.page(
                user_id,
                [str(status)] if status else [str(each) for each in Status],
                highest=highest,
                lowest=score(created_after, "-inf"),
                after=after,
                limit=limit,
                job_type=job_type or "",
                tag=tag or "",
            )
            records = self.store.find(ids) if ids else []
        return Page([Job.from_record(record) for record in records], job_cursor(*last) if last else None)

    def counts(self, user_id: str) -> dict[Status, int]:
        """Return how many of a user's jobs are in each status."""
        with broker_errors():
            return dict(zip(Status, self.store.count(user_id, [str(each) for each in Status]), strict=True))

    def delete_all(self, user_id: str) -> None:
        """Remove a user's jobs and files. Running jobs are cancelled, and deleted when their executions end.

        Remove the user first: a submission that arrives later is then refused in its own atomic step.
        """
        statuses = [str(each) for each in Status]
        with broker_errors():
            # Jobs change their status meanwhile, so one look at each status would miss some.
            while any(self.store.count(user_id, statuses)):
                for status in statuses:
                    for job_id in self.store.indexed(user_id, status, at_most=500):
                        self.store.remove(job_id, user_id)
            self.store.feeds.forget(user_id)
        self.files.delete_all(user_id)
        delete_user_blobs(user_id, self.settings)


def _job(job_id: str, record: Record | None) -> Job:
    if record is None:
        raise job_not_found(job_id)
    return Job.from_record(record)
