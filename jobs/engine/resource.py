"""One job as its owner sees it: the job resource, read from RQ's records."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from .states import FROM_RQ, PendingReason, Status
from .store import Record

#: Versions of a job that RQ's own tools made: it has no event log, but its status only goes forward.
_FOREIGN_VERSION = {Status.PENDING: 1, Status.RUNNING: 2, Status.COMPLETED: 3, Status.FAILED: 3, Status.CANCELLED: 3}


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
        resource = {field.name: _plain(getattr(self, field.name)) for field in fields(self) if field.name != "trace"}
        return resource | {"poll_url": self.poll_url, "stream_url": f"{self.poll_url}/stream"}

    @classmethod
    def from_record(cls, record: Record) -> Job:
        raw = record.fields
        text = {name: _decoded(value) for name, value in raw.items() if name != "data"}
        status = FROM_RQ.get(text.get("status", ""), Status.PENDING)
        meta = _json(text.get("meta"), {})
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
            progress=100.0 if status is Status.COMPLETED else float(meta.get("progress") or 0.0),
            progress_message=meta.get("progress_message"),
            progress_current=meta.get("progress_current"),
            progress_total=meta.get("progress_total"),
            eta_seconds=_eta(meta, status, record.now),
            attempt=int(text.get("attempt") or 0),
            max_attempts=int(text.get("attempts") or 1),
            resumed=int(text.get("resumed") or 0),
            created_at=_time(text.get("created_at")),
            scheduled_at=_moment(text.get("due")) if status is Status.PENDING else None,
            started_at=_time(text.get("started_at")),
            completed_at=_time(text.get("ended_at")) if status.terminal else None,
            expires_at=_moment(text.get("expires")),
            params=params,
            result=_result(record.result) if status is Status.COMPLETED else None,
            error=_error(text, status),
            error_type=text.get("error_type") or ("failed" if _foreign_failure(text, status) else None),
            version=int(text.get("version") or _FOREIGN_VERSION[status]),
            trace=_trace(record.result),
        )


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    return rfc3339(value) if isinstance(value, datetime) else value


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _json(text: str | None, default: Any) -> Any:
    try:
        return json.loads(text) if text else default
    except ValueError:
        return default


def _call(data: bytes) -> tuple[str, Any]:
    """The function's name and its arguments out of RQ's data, which a foreign client may have compressed or pickled."""
    try:
        data = zlib.decompress(data)
    except zlib.error:
        pass  # ours is stored as it is: rq/job.py (2.12.0), Job.restore, takes both
    try:
        func_name, _instance, args, kwargs = json.loads(data)
    except (ValueError, TypeError):
        return "unknown", None
    return str(func_name), {"args": args, **kwargs} if args else kwargs


def _reason(text: dict[str, str], status: Status) -> PendingReason | None:
    if status is not Status.PENDING:
        return None
    by_status = {"deferred": PendingReason.WAITING, "scheduled": PendingReason.SCHEDULED}
    return PendingReason(text["reason"]) if "reason" in text else by_status.get(text["status"], PendingReason.QUEUED)


def _position(text: dict[str, str], popped: int) -> int | None:
    if text.get("status") != "queued" or "number" not in text:
        return None
    return max(1, int(text["number"]) - popped)


def _eta(meta: dict[str, Any], status: Status, now: float) -> float | None:
    if status is not Status.RUNNING or meta.get("eta_seconds") is None:
        return None
    return max(0.0, round(float(meta["eta_seconds"]) - (now - float(meta.get("reported_at", now))), 1))


def _result(stored: dict[str, bytes]) -> Any:
    value = stored.get("return_value")
    return json.loads(b64decode(value)) if value else None


def _foreign_failure(text: dict[str, str], status: Status) -> bool:
    return status is Status.FAILED and "version" not in text


def _error(text: dict[str, str], status: Status) -> str | None:
    if _foreign_failure(text, status):
        return "The job failed; its trace is for admins."
    return text.get("error") or None


def _trace(stored: dict[str, bytes]) -> str | None:
    exc_string = stored.get("exc_string")
    return zlib.decompress(b64decode(exc_string)).decode("utf-8", "replace") if exc_string else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if text else None
