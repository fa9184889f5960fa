"""Bulk actions: cancel, retry or delete all jobs that a filter matches, in a job of their own.

The job takes one small step after the other. Each is one script, which also stores how far the bulk action is, so it
continues where it was after whatever was killed, and acts on each job once. A job that has come to match since the
bulk action was submitted is not touched: bulk.lua judges each job by its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Any, assert_never

from jobs.engine.accounts.audit import KEEP_ENTRIES, Act, entry_fields
from jobs.engine.accounts.user import User
from jobs.engine.accounts.users import Users
from jobs.engine.author.outage import wait_out_outage
from jobs.engine.author.progress import progress
from jobs.engine.author.running import Cancelled, current_job
from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.broker.store.bulk_steps import BulkOrder, BulkReply, BulkVerdict
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.errors import Fatal, Forbidden, RetryLater, UserNotFound
from jobs.engine.settings import settings

from .bulk_request import Action, BulkCounts
from .client import Client
from .job import Job
from .job_filter import EVERYONE, JobFilter
from .submission import Submission

#: The job type of bulk actions.
BULK_ACTION = "bulk-action"
#: A user may have this many unfinished bulk actions over the limit of unfinished jobs: they make room.
OVER_LIMIT = 10
#: Seconds until a bulk action that had to wait tries again.
FULL_SECONDS = 2.0
BUSY_SECONDS = 1.0

_NOT_ADMIN = "Only administrators may act on the jobs of other users."


def bulk_submission(
    catalogue: Catalogue, params: dict[str, Any], user: User, *, key: str | None = None, digest: str | None = None
) -> Submission:
    """Return the submission of a bulk action.

    Raises:
        JobTypeNotFound: JOB_PACKAGES does not contain the job type.
        InvalidParameters
        Forbidden: it is for other users' jobs, and the user is not an administrator.
    """
    job_type = catalogue.find(BULK_ACTION)
    conditions = params.get("filter")
    owner = conditions.get("user_id") if isinstance(conditions, dict) else None
    if isinstance(owner, str) and owner != user.user_id and not user.is_admin:
        raise Forbidden(_NOT_ADMIN)
    job_type.parameters.validate(params)
    return Submission(
        job_type,
        params,
        user.user_id,
        admin=user.is_admin,
        idempotency_key=key,
        digest=digest,
        over_limit=OVER_LIMIT,
    )


def act_on_matching(action: Action, chosen: JobFilter) -> BulkCounts:
    """Act on the jobs that match, for the user of the job that runs here.

    Raises:
        Fatal: outside a job, in a job without an owner, and for other users' jobs if its owner is not an administrator.
        RetryLater: there is no room for more unfinished jobs.
    """
    current = current_job()
    if current is None or current.user_id is None:
        raise Fatal("A bulk action acts on the jobs of its owner, and this one has no owner.")
    with closing(connect(settings())) as connection:
        client = Client(connection, settings(), Catalogue())
        job = wait_out_outage(lambda: client.find(current.job_id))
        return BulkRun(client, job, current.user_id, action, chosen).run()


class BulkRun:
    """One execution of a bulk action."""

    def __init__(self, client: Client, job: Job, user_id: str, action: Action, chosen: JobFilter) -> None:
        assert job.created_at is not None, "the broker writes it when it stores the job"
        self._store = client.store.bulk
        self._users = Users(client.store.connection)
        self._action, self._filter = action, chosen
        max_active = client.settings.max_active_jobs_per_user
        highest = chosen.highest(job.created_at)
        self._order = BulkOrder(job.job_id, user_id, str(action), chosen.for_script(), highest, max_active)

    def run(self) -> BulkCounts:
        """Act on all jobs that match. Return the counts of all executions."""
        owners = wait_out_outage(self._owners_left)
        total = max(1, wait_out_outage(lambda: self._total(owners)))
        counts = BulkCounts(0, 0, 0)
        try:
            for reply in self._steps(owners):
                counts = BulkCounts(reply.matched, reply.done, reply.skipped)
                progress(message=str(counts), current=min(reply.looked, total), total=total)
        except Cancelled:
            self._note_end("stopped", counts)
            raise
        self._note_end("completed", counts)
        return counts

    def _steps(self, owners: list[str]) -> Iterator[BulkReply]:
        for owner in owners:
            verdict = BulkVerdict.MORE
            while verdict is BulkVerdict.MORE:
                reply = wait_out_outage(lambda owner=owner: self._step(owner))  # type: ignore[misc]  # mypy can't infer it
                verdict = reply.verdict
                yield reply
            self._raise_unless_ended(verdict, owner)

    def _step(self, owner: str) -> BulkReply:
        with broker_errors():
            return self._store.step(self._order, owner)

    def _raise_unless_ended(self, verdict: BulkVerdict, owner: str) -> None:
        match verdict:
            case BulkVerdict.END | BulkVerdict.MORE:
                return
            case BulkVerdict.FULL:
                limit = self._order.max_active
                raise RetryLater(
                    FULL_SECONDS, f"{owner} has {limit:,} unfinished jobs; more are retried when some end."
                )
            case BulkVerdict.BUSY:
                raise RetryLater(BUSY_SECONDS, "Messages to webhooks about these jobs are still to be sent.")
            case BulkVerdict.STOPPED:
                raise Cancelled
            case _:
                assert_never(verdict)

    def _owners_left(self) -> list[str]:
        """Return the owners whose jobs are not done, in the order in which every execution takes them.

        Raises:
            Fatal: the user may not act on other users' jobs.
        """
        wanted = self._filter.user_id or self._order.user_id
        if wanted == self._order.user_id:
            return [wanted]
        self._require_admin()
        if wanted != EVERYONE:
            return [wanted]
        # An empty name owns the jobs that no user owns.
        with broker_errors():
            current = self._store.owner(self._order.job_id)
        return [name for name in ["", *self._users.names()] if current is None or name >= current]

    def _require_admin(self) -> None:
        try:
            is_admin = self._users.find(self._order.user_id).is_admin
        except UserNotFound:
            is_admin = False
        if not is_admin:
            raise Fatal(_NOT_ADMIN)

    def _total(self, owners: list[str]) -> int:
        with broker_errors():
            return self._store.total(self._order, owners)

    def _note_end(self, how: str, counts: BulkCounts) -> None:
        """Record who did what to which jobs, in the audit log."""
        conditions = " ".join(f"{name}={value}" for name, value in self._filter.conditions().items())
        subject = f"{self._order.job_id}, {how}: {counts}; {conditions}"
        act = Act(f"bulk-{self._action}", self._order.user_id, None, HTTPStatus.OK, subject)

        def note() -> None:
            with broker_errors():
                self._store.note_end(self._order.job_id, how, KEEP_ENTRIES, entry_fields(act))

        wait_out_outage(note)
