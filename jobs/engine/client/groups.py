"""Groups: the jobs of a batch or pipeline, seen as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors
from jobs.engine.errors import GroupEnded, GroupNotFound
from jobs.engine.states import TERMINAL, Status

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class Member:
    """The fields of a job that its group shows."""

    job_id: str
    #: Empty once the job's record has expired.
    job_type: str
    status: Status
    #: 0–100 for the running attempt; 100 when the job has ended, in any way.
    progress: float
    error: str | None
    error_type: str | None

    @classmethod
    def read(cls, row: list[bytes]) -> Member:
        job_id, status, job_type, meta, error, error_type = (malformed.text(part) for part in row)
        return cls(job_id, job_type, Status(status), _progress(Status(status), meta), error or None, error_type or None)


@dataclass(frozen=True)
class Group:
    group_id: str
    #: `batch` or `pipeline`.
    kind: str
    user_id: str
    webhook_url: str | None
    members: tuple[Member, ...]

    @property
    def job_ids(self) -> list[str]:
        return [member.job_id for member in self.members]

    @property
    def counts(self) -> dict[str, int]:
        statuses = [member.status for member in self.members]
        return {str(status): statuses.count(status) for status in Status}

    @property
    def status(self) -> Status:
        """Pending until the first job starts, running until the last one ends; then the worst status of its jobs."""
        statuses = {member.status for member in self.members}
        if statuses <= TERMINAL:
            return next(end for end in (Status.FAILED, Status.CANCELLED, Status.COMPLETED) if end in statuses)
        return Status.PENDING if statuses == {Status.PENDING} else Status.RUNNING

    def check_cancel(self) -> None:
        """Raise GroupEnded if all of the jobs have ended."""
        if self.status.terminal:
            raise GroupEnded(f"The {self.kind} is {self.status}: all of its jobs have ended.")

    @property
    def progress(self) -> float:
        """0–100: the mean of its jobs' progress."""
        if all(member.status in TERMINAL for member in self.members):
            return 100.0
        return min(99.9, round(sum(member.progress for member in self.members) / len(self.members), 1))


class Groups:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, client: Client) -> None:
        self._store = client.store

    def find(self, kind: str, group_id: str) -> Group:
        """Read a group.

        Raises:
            GroupNotFound: it does not exist, is of another kind, or has expired.
        """
        group = self.read(group_id)
        if group.kind != kind:
            raise GroupNotFound(f"There is no {kind} {group_id[:64]!r}; it may have expired.")
        return group

    def read(self, group_id: str) -> Group:
        """Read a group of any kind. Raises GroupNotFound."""
        with broker_errors():
            found = self._store.group(group_id)
        not_found = GroupNotFound(f"There is no group {group_id[:64]!r}; it may have expired.")
        if found is None:
            raise not_found
        group = malformed.readable(f"wh:group:{group_id}", lambda: _group(group_id, *found))
        if group is None:
            raise not_found
        return group

    def of_job(self, job_id: str) -> tuple[str, str] | None:
        """Return the kind and the id of the group that a job belongs to, if it belongs to one that still exists."""
        with broker_errors():
            return self._store.group_of(job_id)

    def cancel(self, kind: str, group_id: str) -> Group:
        """Cancel all jobs that have not ended, in one atomic step. Running jobs are stopped within 5 s.

        Raises:
            GroupNotFound
            GroupEnded: all of its jobs have ended.
        """
        self.find(kind, group_id)
        with broker_errors():
            cancelled = self._store.cancel_group(group_id)
        group = self.find(kind, group_id)
        if not cancelled:
            group.check_cancel()
        return group


def steps_of(group: Group) -> Iterator[dict[str, Any]]:
    """Yield the steps of a pipeline, as its resource shows them."""
    for position, member in enumerate(group.members):
        yield {
            "step": position,
            "job_type": member.job_type or None,
            "job_id": member.job_id,
            "status": str(member.status),
            "progress": member.progress,
            "error": member.error,
            "error_type": member.error_type,
        }


def _group(group_id: str, record: dict[str, bytes], rows: list[list[bytes]]) -> Group:
    if not rows:
        raise ValueError("it has no jobs")
    members = tuple(Member.read(row) for row in rows)
    webhook_url = record.get("webhook_url", b"").decode() or None
    return Group(group_id, record["kind"].decode(), record["user"].decode(), webhook_url, members)


def _progress(status: Status, meta: str) -> float:
    if status.terminal:
        return 100.0
    if status is Status.PENDING:
        return 0.0
    reported = malformed.json_value(meta)
    value = reported.get("progress") if isinstance(reported, dict) else None
    return min(100.0, max(0.0, float(value))) if isinstance(value, int | float) else 0.0
