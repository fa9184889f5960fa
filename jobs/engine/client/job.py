"""The job resource: the one description of its fields, read from RQ's records.

Its JSON, its OpenAPI schema, the fields on the command line and the table in the docs are all made from `Job`.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, computed_field

from jobs.engine.broker.malformed import json_value
from jobs.engine.broker.malformed import whole as _whole
from jobs.engine.broker.store.calls import read_call
from jobs.engine.broker.store.records import Record
from jobs.engine.public_fields import Whole, public_fields
from jobs.engine.queue_names import QueueName
from jobs.engine.states import FROM_RQ, PendingReason, Status
from jobs.engine.times import read_time

from .limited_by import LimitedBy, limited_by
from .traces import exception_class, read_trace

_REASONS = {str(reason): reason for reason in PendingReason}
#: The reasons of jobs whose record names none, by RQ's status.
_REASON_OF_STATUS = {"deferred": PendingReason.WAITING, "scheduled": PendingReason.SCHEDULED}

#: The fields about the progress of a job that has reported none.
_NO_PROGRESS: dict[str, Any] = {
    "progress": 0.0,
    "progress_message": None,
    "progress_current": None,
    "progress_total": None,
    "eta_seconds": None,
}


@dataclass(frozen=True)
class Label:
    """The name of a field on the command line; empty if the line of another field includes it."""

    text: str


WITHIN_ANOTHER = Label("")

Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One submission of a job type. A terminal status (completed, failed, cancelled) changes only by a retry."""

    job_id: Annotated[str, Label("job"), Field(description="Identifies the job.")]
    job_type: Annotated[str, Label("type"), Field(description="The name of its job type.")]
    user_id: Annotated[
        str | None, Label("user"), Field(description="The owner; null if another RQ client enqueued the job.")
    ]
    status: Annotated[Status, Field(description="The current state.")]
    pending_reason: Annotated[
        PendingReason | None, WITHIN_ANOTHER, Field(description="Why the job is waiting; null unless pending.")
    ]
    priority: Annotated[str, Field(description="The queue: high, default or low.")]
    needs: Annotated[list[str], Field(description="What its worker must be able to do.")]
    queue_position: Annotated[
        Whole | None,
        WITHIN_ANOTHER,
        Field(description="The position in the queue, an upper bound; null unless queued."),
    ]
    tags: Annotated[list[str], Field(description="The words that it was submitted with.")]
    unique_key: Annotated[
        str | None,
        Label("unique"),
        Field(description="What makes it unique among its owner's jobs of this type; null if it is not."),
    ]
    limited_by: Annotated[
        LimitedBy | None, Label("limited by"), Field(description="The limit that it waits for; null unless limited.")
    ]
    progress: Annotated[float, Field(ge=0, le=100, description="The progress in percent; 100 when completed.")]
    progress_message: Annotated[str | None, WITHIN_ANOTHER, Field(description="The last progress message.")]
    progress_current: Annotated[float | None, WITHIN_ANOTHER, Field(description="The number of items done.")]
    progress_total: Annotated[float | None, WITHIN_ANOTHER, Field(description="The number of items in total.")]
    eta_seconds: Annotated[
        Seconds | None, WITHIN_ANOTHER, Field(description="An estimate of the seconds left; null unless running.")
    ]
    attempt: Annotated[Whole, Field(description="The attempts charged to the retry policy; 0 before the first.")]
    max_attempts: Annotated[int, WITHIN_ANOTHER, Field(ge=1, description="The attempts that the retry policy allows.")]
    resumed: Annotated[Whole, WITHIN_ANOTHER, Field(description="Uncharged restarts after a crash or a deploy.")]
    created_at: Annotated[datetime | None, Label("created"), Field(description="When the job was submitted.")]
    scheduled_at: Annotated[
        datetime | None, Label("scheduled"), Field(description="When the job becomes due; null unless it is scheduled.")
    ]
    start_by: Annotated[
        datetime | None,
        Label("start by"),
        Field(description="The job is cancelled unless it has started by then; null: it can wait forever."),
    ]
    started_at: Annotated[datetime | None, Label("started"), Field(description="When the last execution started.")]
    completed_at: Annotated[
        datetime | None, Label("ended"), Field(description="When the job completed, failed or was cancelled.")
    ]
    expires_at: Annotated[datetime | None, Label("expires"), Field(description="When the job will be deleted.")]
    params: Annotated[Any, Field(description="The submitted parameters.")]
    result: Annotated[Any, Field(description="The value that the function returned; null unless completed.")]
    error: Annotated[str | None, Field(description="Why the job failed, in a sentence.")]
    error_type: Annotated[
        str | None,
        WITHIN_ANOTHER,
        Field(
            description="The class of the exception, or timeout, stalled, worker_lost, memory_limit, "
            "result_too_large, result_invalid, dependency_failed or expired."
        ),
    ]
    version: Annotated[Whole, WITHIN_ANOTHER, Field(description="Increases by one with every event of the job.")]
    #: For administrators: `as_dict` leaves it out.
    trace: Annotated[str | None, Field(exclude=True, description="The traceback of the last failure.")]

    @computed_field(description="Where to poll the job.")  # type: ignore[prop-decorator]  # as pydantic's docs write it
    @property
    def poll_url(self) -> str:
        return f"/api/v1/jobs/{self.job_id}"

    @computed_field(description="Where to stream the job's events.")  # type: ignore[prop-decorator]
    @property
    def stream_url(self) -> str:
        return f"/api/v1/jobs/{self.job_id}/stream"

    def as_dict(self) -> dict[str, Any]:
        """Return the job resource of the HTTP API."""
        resource = public_fields(self)
        # As plain text: pydantic's JSON writer looks up the value of an enum's member in Python.
        resource["status"] = str(self.status)
        resource["pending_reason"] = self.pending_reason and str(self.pending_reason)
        resource["poll_url"] = poll_url = f"/api/v1/jobs/{self.job_id}"
        resource["stream_url"] = f"{poll_url}/stream"
        return resource

    @classmethod
    def from_record(cls, record: Record) -> Job:
        """Read a job. A field that is malformed is read as if it were missing.

        Nothing is an obstacle to a job of another RQ application: its workers announce nothing, and know no pauses.
        """
        raw = record.fields
        text = {name: value.decode("utf-8", "replace") for name, value in raw.items() if name != "data"}
        status = FROM_RQ.get(text.get("status", ""), Status.PENDING)
        meta = _mapping(text.get("meta"))
        func_name, params = _call(raw.get("data", b""))
        origin = text.get("origin", "")
        queue = QueueName.read(origin)
        trace = read_trace(record.result)
        return _job(
            job_id=record.job_id,
            job_type=text.get("type") or func_name,
            user_id=text.get("user") or None,
            status=status,
            pending_reason=_reason(text, status, record.obstacle if queue else ""),
            priority=str(queue.priority) if queue else origin,
            needs=list(queue.needs) if queue else [],
            queue_position=_position(text, record.popped),
            tags=_words(text.get("tags")),
            unique_key=text.get("unique_key"),
            limited_by=limited_by(text, record) if status is Status.PENDING else None,
            **_progress(meta, status, record.now),
            attempt=_whole(text.get("attempt"), 0),
            max_attempts=_whole(text.get("attempts"), 1),
            resumed=_whole(text.get("resumed"), 0),
            created_at=_time(text.get("created_at")),
            scheduled_at=_moment(text.get("due")) if status is Status.PENDING else None,
            start_by=_moment(text.get("start_by")),
            started_at=_time(text.get("started_at")),
            completed_at=_time(text.get("ended_at")) if status.terminal else None,
            expires_at=_moment(text.get("expires")),
            params=params,
            result=_result(record.result) if status is Status.COMPLETED else None,
            error=_error(text, status),
            error_type=text.get("error_type") or _foreign_error_type(text, status, trace),
            version=_version(text, status),
            trace=trace,
        )


def _job(**fields: Any) -> Job:
    """Make a job as its constructor would, which takes four times as long, because it is frozen."""
    job = object.__new__(Job)
    vars(job).update(fields)
    return job


def _call(data: bytes) -> tuple[str, Any]:
    """Return the function's name and its arguments. If the data is not JSON, they are unknown."""
    try:
        func_name, _instance, args, kwargs = read_call(data)
    except (ValueError, TypeError, RecursionError):
        return "unknown", None
    return str(func_name), {"args": args, **kwargs} if args and isinstance(kwargs, dict) else kwargs


def _reason(text: dict[str, str], status: Status, obstacle: str) -> PendingReason | None:
    if status is not Status.PENDING:
        return None
    if obstacle:
        return PendingReason(obstacle)
    named = _REASONS.get(text.get("reason", ""))
    return named or _REASON_OF_STATUS.get(text.get("status", ""), PendingReason.QUEUED)


def _position(text: dict[str, str], popped: int) -> int | None:
    if text.get("status") != "queued" or "number" not in text:
        return None
    return max(1, _whole(text["number"], 1) - popped)


def _progress(meta: dict[str, Any], status: Status, now: float) -> dict[str, Any]:
    """Return the fields about the progress. `meta` is empty as long as the job has reported none."""
    completed = status is Status.COMPLETED
    if not meta:
        return _NO_PROGRESS | {"progress": 100.0 if completed else 0.0}
    return {
        "progress": 100.0 if completed else _percent(meta.get("progress")),
        "progress_message": _sentence(meta.get("progress_message")),
        "progress_current": _finite(meta.get("progress_current")),
        "progress_total": _finite(meta.get("progress_total")),
        "eta_seconds": _eta(meta, status, now),
    }


def _eta(meta: dict[str, Any], status: Status, now: float) -> float | None:
    left = _number(meta.get("eta_seconds")) if status is Status.RUNNING else None
    return None if left is None else max(0.0, round(left - (now - (_number(meta.get("reported_at")) or now)), 1))


def _result(stored: dict[str, bytes]) -> Any:
    value = stored.get("return_value")
    try:
        return json.loads(b64decode(value)) if value else None
    except (ValueError, RecursionError):  # of plain RQ, in another serializer: it is never unpickled
        return None


def _version(text: dict[str, str], status: Status) -> int:
    """Return the version. A job that RQ's own tools made has no events: three are counted for each of its claims."""
    if "version" in text:
        return _whole(text["version"], 1)
    claims = _whole(text.get("claims"), 0)
    if status is not Status.PENDING:
        return 3 * max(claims, 1) - (status is Status.RUNNING)
    # RQ starts a job a moment after our claim, which removes the time of an earlier start.
    is_starting = "execution" in text and not text.get("started_at")
    return 3 * (claims - is_starting) + 1


def _foreign_failure(text: dict[str, str], status: Status) -> bool:
    return status is Status.FAILED and "version" not in text


def _foreign_error_type(text: dict[str, str], status: Status, trace: str | None) -> str | None:
    return (exception_class(trace) or "failed") if _foreign_failure(text, status) else None


def _error(text: dict[str, str], status: Status) -> str | None:
    if _foreign_failure(text, status):
        return text.get("refused") or "The job failed. Only admins can see its trace."
    return text.get("error") or None


# Anything can write to the broker: a malformed field must not hide the job or the jobs beside it.


def _mapping(text: str | None) -> dict[str, Any]:
    value = json_value(text)
    return value if isinstance(value, dict) else {}


def _words(text: str | None) -> list[str]:
    value = json_value(text)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _sentence(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and math.isfinite(value) else None


def _number(value: Any) -> float | None:
    finite = _finite(value)
    return None if finite is None else float(finite)


def _percent(value: Any) -> float:
    return min(100.0, max(0.0, _number(value) or 0.0))


def _time(text: str | None) -> datetime | None:
    try:
        return read_time(text) if text else None
    except ValueError:
        return None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
