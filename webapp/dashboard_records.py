"""RQ's records as rq-dashboard may read them: never unpickled, never changed by a read, and some of them malformed.

rq-dashboard 0.9.0 fetches most records without a serializer, which means pickle: anyone who can write to the broker
could run code in the web process. It also lets one malformed record fail a whole page.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from redis import Redis, ResponseError
from rq import Queue, Worker
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.utils import str_to_date

from jobs.engine.broker.malformed import MALFORMED, is_wrong_type, readable, text

UNREADABLE = "(not JSON: a pickle is not read here)"

#: What a key of another type is read as.
_EMPTY: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("HGETALL",), dict),
    **dict.fromkeys(("LRANGE", "ZRANGE", "XREVRANGE"), list),
    **dict.fromkeys(("SMEMBERS",), set),
    **dict.fromkeys(("LLEN", "ZCARD"), int),
    **dict.fromkeys(("HEXISTS",), bool),
    **dict.fromkeys(("HGET",), lambda: None),
}


class TolerantRedis(Redis):
    """A connection that reads a key of another type as empty, and replaces bytes in names that are not UTF-8."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        command = str(args[0])
        try:
            reply: Any = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if not is_wrong_type(error) or command not in _EMPTY:
                raise
            return _EMPTY[command]()
        if command in ("LRANGE", "ZRANGE", "SMEMBERS"):
            return type(reply)(text(each).encode() if isinstance(each, bytes) else each for each in reply)
        return reply


def _strings(value: bytes) -> None:
    names = json.loads(value)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("not a list of text")


#: How rq/job.py (2.12.0, restore) reads each field; a field that it could not read is left out.
_READ_AS: dict[str, Callable[[bytes], Any]] = {
    **dict.fromkeys(("created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat"), str_to_date),
    **dict.fromkeys(
        ("timeout", "result_ttl", "failure_ttl", "ttl", "number_of_retries", "retries_left", "repeats_left"), int
    ),
    **dict.fromkeys(("allow_dependency_failures", "enqueue_at_front", "enqueue_at_front_on_retry"), int),
    **dict.fromkeys(("success_callback_timeout", "failure_callback_timeout", "stopped_callback_timeout"), int),
    **dict.fromkeys(("retry_intervals", "repeat_intervals"), json.loads),
    "status": lambda value: JobStatus(value.decode()),
    "dependency_ids": _strings,
}
_BINARY = frozenset({"data", "result", "meta", "webhooks"})


def _restorable(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields of a job's record that rq can read."""
    kept = {}
    for key, value in fields.items():
        name = text(key)
        try:
            _READ_AS.get(name, bytes)(value)
        except MALFORMED:
            continue
        kept[name.encode()] = value if name in _BINARY else text(value).encode()
    return kept


class SafeJob(Job):
    """A job whose record may contain anything, including a pickle."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:  # noqa: A002, ARG002 (rq names them)
        super().__init__(id, connection, JSONSerializer)

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:  # noqa: A002 (rq names it)
        """Raises NoSuchJobError, even for an id that rq does not allow."""
        try:
            return super().fetch(id, connection, serializer)
        except ValueError as error:
            raise NoSuchJobError(str(error)) from None

    def restore(self, raw_data: Any) -> Any:
        return super().restore(_restorable(raw_data))

    def get_status(self, refresh: bool = True) -> JobStatus:
        try:
            return super().get_status(refresh)
        except (ValueError, InvalidJobOperation):
            return JobStatus.CREATED

    @property
    def dependency_ids(self) -> list[Any]:
        """Return keys in bytes: rq-dashboard 0.9.0 (web.py, job_info) decodes them, as rq before 2.12.0 required.

        They are read from the job's own record, where they stay when the job that they name has ended.
        """
        return [self.key_for(job_id).encode() for job_id in self._dependency_ids]

    def latest_result(self, timeout: int = 0) -> Result | None:
        try:
            return super().latest_result(timeout)
        except (*MALFORMED, zlib.error):
            return None

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        try:
            meta: dict[str, Any] = super().get_meta(refresh)
        except (ValueError, RecursionError):
            return {"meta": UNREADABLE}
        return meta

    def get_call_string(self) -> str | None:
        try:
            return super().get_call_string()
        except (DeserializationError, *MALFORMED):
            return UNREADABLE


class ReadOnlyQueue(Queue):
    """A queue whose jobs are safe to read."""

    job_class = SafeJob

    @classmethod
    def all(cls, connection: Redis, *_: Any, **__: Any) -> list[Any]:
        """Return the queues that have a name."""
        prefix = cls.redis_queue_namespace_prefix
        keys: Any = connection.smembers(cls.redis_queues_keys)
        names = [text(key).removeprefix(prefix) for key in keys if text(key).startswith(prefix)]
        return [cls(name, connection=connection) for name in names if name]

    def remove(self, job_or_id: Job | str, pipeline: Any = None) -> int:  # noqa: ARG002 (rq names them)
        """Remove nothing: fetch_job (rq/queue.py 2.12.0) would drop an entry without a record, after a full scan."""
        return 0


class SafeWorker(Worker):
    """A worker whose current job is safe to read."""

    @classmethod
    def all(cls, connection: Redis | None = None, *_: Any, **__: Any) -> list[Any]:
        """Return the workers that have a readable record."""
        assert connection is not None
        keys: Any = connection.smembers(cls.redis_workers_keys)
        names = [text(key) for key in keys]
        found = [readable(name, lambda name=name: cls._read(name, connection)) for name in names]  # type: ignore[misc]
        return [worker for worker in found if worker is not None]

    @classmethod
    def _read(cls, key: str, connection: Redis) -> Any:
        # find_by_key (rq/worker/base.py 2.12.0) would remove a worker without a record from the set.
        if not connection.exists(key):
            return None
        return cls.find_by_key(key, connection, SafeJob, ReadOnlyQueue, JSONSerializer)

    def get_current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None  # it ended between the two look-ups
