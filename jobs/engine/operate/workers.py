"""List the workers that have registered and what each one does, from RQ's own records; drain them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, replies, whole
from jobs.engine.broker.malformed import text as decoded
from jobs.engine.broker.store.store import Store
from jobs.engine.errors import WorkerNotFound
from jobs.engine.times import read_time

_FIELDS = (
    *("state", "hostname", "pid", "queues", "birth", "last_heartbeat", "current_job"),
    *("successful_job_count", "failed_job_count", "can", "memory", "draining"),
)

_KEY = "rq:workers"


@dataclass(frozen=True)
class WorkerRecord:
    name: str
    state: str
    hostname: str
    pid: str
    queues: tuple[str, ...]
    born_at: datetime | None
    #: The last heartbeat.
    heard_at: datetime | None
    #: The job that it runs now.
    job_id: str | None
    job_type: str | None
    #: Executions that succeeded and that failed since it was born.
    successful: int
    failed: int
    #: What it can do beyond other workers.
    can: tuple[str, ...]
    #: Resident memory of its own process and of the process that runs its job.
    memory_bytes: int
    #: It takes no more jobs, and ends when it is idle.
    draining: bool


def workers(store: Store) -> list[WorkerRecord]:
    """Return all workers, by name. Raises BrokerUnavailable if the broker can't be reached."""
    connection: Any = store.connection
    with broker_errors():
        keys = sorted(readable(_KEY, lambda: connection.smembers(_KEY)) or ())
        records = _read(connection, [(key, _FIELDS) for key in keys])
        busy = [_text(record[6]) for record in records]
        types = _read(connection, [(f"rq:job:{job_id}", ("type",)) for job_id in busy])
    return [
        _worker(decoded(key).removeprefix("rq:worker:"), record, job_type[0])
        for key, record, job_type in zip(keys, records, types, strict=True)
        if record[0] is not None  # a member of the set can outlive its record
    ]


def drain(store: Store, name: str, *, draining: bool) -> WorkerRecord:
    """Ask a worker to take no more jobs and to end when it is idle, or withdraw that. It notices within a second.

    Raises:
        WorkerNotFound
        BrokerUnavailable
    """
    worker = find(store, name)
    with broker_errors():
        known = store.drain(name, draining=draining)
    if not known:
        raise _not_found(name)
    # Not read again: an idle worker may have ended by now, as it was asked to.
    return replace(worker, draining=draining)


def find(store: Store, name: str) -> WorkerRecord:
    """Return one worker. Raises WorkerNotFound or BrokerUnavailable."""
    for worker in workers(store):
        if worker.name == name:
            return worker
    raise _not_found(name)


def _not_found(name: str) -> WorkerNotFound:
    return WorkerNotFound(f"There is no worker {name[:64]!r}; it may have ended.")


def _read(connection: Any, wanted: list[tuple[Any, tuple[str, ...]]]) -> list[list[bytes | None]]:
    pipeline = connection.pipeline(transaction=False)
    for key, fields in wanted:
        pipeline.hmget(key, fields)
    return [found or [None] * len(fields) for found, (_, fields) in zip(replies(pipeline), wanted, strict=True)]


def _worker(name: str, record: list[bytes | None], job_type: bytes | None) -> WorkerRecord:
    state, host, pid, queues, birth, heard, job_id, successful, failed, can, memory, draining = map(_text, record)
    return WorkerRecord(
        name=name,
        state=state,
        hostname=host,
        pid=pid,
        queues=_words(queues),
        born_at=_time(birth),
        heard_at=_time(heard),
        job_id=job_id or None,
        job_type=_text(job_type) or None,
        successful=whole(successful),
        failed=whole(failed),
        can=_words(can),
        memory_bytes=whole(memory),
        draining=bool(draining),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _text(value: bytes | None) -> str:
    return decoded(value or b"")


def _time(text: str) -> datetime | None:
    try:
        return read_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
