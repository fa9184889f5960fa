"""One job as its owner sees it: the job resource, read from RQ's records."""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.engine.broker.store.records import Record
from jobs.engine.states import FROM_RQ, PendingReason, Status
from jobs.engine.times import rfc3339

#: Versions of a job that RQ's own tools made: it has no event log, but its status only goes forward.
_FOREIGN_VERSION = {Status.PENDING: 1, Status.RUNNING: 2, Status.COMPLETED: 3, Status.FAILED: 3, Status.CANCELLED: 3}

_TIMES = ("created_at", "scheduled_at", "started_at", "completed_at", "expires_at")


@dataclass(frozen=True)
class Job:
    job_id: str
    job_type: str
    user_id: str | None
    status: Status
    pending_reason: PendingReason | None
    priority: str
    #: An upper bound, computed on reading.
    queue_position: int | None
    tags: list[str]
    progress: float
    progress_message: str | None
    progress_current: float | None
    progress_total: float | None
    #: Seconds, an estimate computed on reading.
    eta_seconds: float | None
    attempt: int
    max_attempts: int
    resumed: int
    created_at: datetime | None
    scheduled_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    params: Any
    result: Any
    error: str | None
    error_type: str | None
    version: int
    #: The trace of the last failure. For admins; never part of the resource.
    trace: str | None

    @property
    def poll_url(self) -> str:
        return f"/api/v1/jobs/{self.job_id}"

    def as_dict(self) -> dict[str, Any]:
        """The job resource of the HTTP API."""
        resource = self.__dict__.copy()  # in the order of the fields
        del resource["trace"]
        for name in _TIMES:
            if (moment := resource[name]) is not None:
                resource[name] = rfc3339(moment)
        resource["poll_url"] = poll_url = self.poll_url
        resource["stream_url"] = f"{poll_url}/stream"
        return resource

    @classmethod
    def from_record(cls, record: Record) -> Job:
        raw = record.fields
        text = {name: value.decode("utf-8", "replace") for name, value in raw.items() if name != "data"}
        status = FROM_RQ.get(text.get("status", ""), Status.PENDING)
        meta = _mapping(text.get("meta"))
        func_name, params = _call(raw.get("data", b""))
        return cls(
            job_id=record.job_id,
            job_type=text.get("type") or func_name,
            user_id=text.get("user") or None,
            status=status,
            pending_reason=_reason(text, status),
            priority=text.get("origin", ""),
            queue_position=_position(text, record.popped),
            tags=_json(text.get("tags"), []),
            progress=100.0 if status is Status.COMPLETED else _number(meta.get("progress")) or 0.0,
            progress_message=meta.get("progress_message"),
            progress_current=meta.get("progress_current"),
            progress_total=meta.get("progress_total"),
            eta_seconds=_eta(meta, status, record.now),
            attempt=_whole(text.get("attempt"), 0),
            max_attempts=_whole(text.get("attempts"), 1),
            resumed=_whole(text.get("resumed"), 0),
            created_at=_time(text.get("created_at")),
            scheduled_at=_moment(text.get("due")) if status is Status.PENDING else None,
            started_at=_time(text.get("started_at")),
            completed_at=_time(text.get("ended_at")) if status.terminal else None,
            expires_at=_moment(text.get("expires")),
            params=params,
            result=_result(record.result) if status is Status.COMPLETED else None,
            error=_error(text, status),
            error_type=text.get("error_type") or ("failed" if _foreign_failure(text, status) else None),
            version=_whole(text.get("version"), _FOREIGN_VERSION[status]),
            trace=_trace(record.result),
        )


def _json(text: str | None, default: Any) -> Any:
    try:
        return json.loads(text) if text else default
    except ValueError:
        return default


def _call(data: bytes) -> tuple[str, Any]:
    """The function's name and its arguments out of RQ's data, which a foreign client may have compressed or pickled."""
    # Ours is stored as it is, a list in JSON: rq/job.py (2.12.0), Job.restore, takes both.
    if data[:1] != b"[":
        try:
            data = zlib.decompress(data)
        except zlib.error:
            pass
    try:
        func_name, _instance, args, kwargs = json.loads(data)
    except (ValueError, TypeError):
        return "unknown", None
    return str(func_name), {"args": args, **kwargs} if args and isinstance(kwargs, dict) else kwargs


def _reason(text: dict[str, str], status: Status) -> PendingReason | None:
    if status is not Status.PENDING:
        return None
    by_status = {"deferred": PendingReason.WAITING, "scheduled": PendingReason.SCHEDULED}
    if text.get("reason") in set(PendingReason):
        return PendingReason(text["reason"])
    return by_status.get(text.get("status", ""), PendingReason.QUEUED)


def _position(text: dict[str, str], popped: int) -> int | None:
    if text.get("status") != "queued" or "number" not in text:
        return None
    return max(1, _whole(text["number"], 1) - popped)


def _eta(meta: dict[str, Any], status: Status, now: float) -> float | None:
    left = _number(meta.get("eta_seconds")) if status is Status.RUNNING else None
    return None if left is None else max(0.0, round(left - (now - (_number(meta.get("reported_at")) or now)), 1))


def _result(stored: dict[str, bytes]) -> Any:
    value = stored.get("return_value")
    try:
        return json.loads(b64decode(value)) if value else None
    except ValueError:  # of plain RQ, in another serializer: it is never unpickled
        return None


def _foreign_failure(text: dict[str, str], status: Status) -> bool:
    return status is Status.FAILED and "version" not in text


def _error(text: dict[str, str], status: Status) -> str | None:
    if _foreign_failure(text, status):
        return text.get("refused") or "The job failed; its trace is for admins."
    return text.get("error") or None


def _trace(stored: dict[str, bytes]) -> str | None:
    exc_string = stored.get("exc_string")
    try:
        return zlib.decompress(b64decode(exc_string)).decode("utf-8", "replace") if exc_string else None
    except (ValueError, zlib.error):
        return None


# What is in the broker may have been put there by anything: one odd field must not hide a job, or those beside it.


def _mapping(text: str | None) -> dict[str, Any]:
    value = _json(text, {})
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
