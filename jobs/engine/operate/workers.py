"""The workers that have signed on, and what each does: read from RQ's own records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.store import Store

_FIELDS = (
    *("state", "hostname", "pid", "queues", "birth", "last_heartbeat", "current_job"),
    *("successful_job_count", "failed_job_count"),
)


@dataclass(frozen=True)
class WorkerRecord:
    name: str
    state: str
    hostname: str
    pid: str
    queues: tuple[str, ...]
    born_at: datetime | None
    heard_at: datetime | None
    #: What it does now.
    job_id: str | None
    job_type: str | None
    #: Since it was born.
    successful: int
    failed: int


def workers(store: Store) -> list[WorkerRecord]:
    """All of them, by name. Raises BrokerUnavailable if the broker can't be reached."""
    connection: Any = store.connection
    with broker_errors():
        keys = sorted(connection.smembers("rq:workers"))
        records = _read(connection, [(key, _FIELDS) for key in keys])
        busy = [_text(record[6]) for record in records]
        types = _read(connection, [(f"rq:job:{job_id}", ("type",)) for job_id in busy])
    return [
        _worker(key.decode().removeprefix("rq:worker:"), record, job_type[0])
        for key, record, job_type in zip(keys, records, types, strict=True)
        if record[0] is not None  # a set's member may outlive its record
    ]


def _read(connection: Any, wanted: list[tuple[Any, tuple[str, ...]]]) -> list[list[bytes | None]]:
    pipeline = connection.pipeline(transaction=False)
    for key, fields in wanted:
        pipeline.hmget(key, fields)
    found: list[list[bytes | None]] = pipeline.execute()
    return found


def _worker(name: str, record: list[bytes | None], job_type: bytes | None) -> WorkerRecord:
    state, host, pid, queues, birth, heard, job_id, successful, failed = map(_text, record)
    return WorkerRecord(
        name=name,
        state=state,
        hostname=host,
        pid=pid,
        queues=tuple(queues.split(",")) if queues else (),
        born_at=_time(birth),
        heard_at=_time(heard),
        job_id=job_id or None,
        job_type=_text(job_type) or None,
        successful=int(successful or 0),
        failed=int(failed or 0),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
