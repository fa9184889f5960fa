"""RQ's records as rq-dashboard may read them: never unpickled, never changed by a look.

rq-dashboard 0.9.0 fetches most of them without a serializer, which means pickle: whoever can write
to the broker could run code in the web process.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

UNREADABLE = "(not JSON: a pickle is not read here)"


class SafeJob(Job):
    """A job whose data may be anything, also a pickle."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:  # noqa: A002, ARG002 (rq names them)
        super().__init__(id, connection, JSONSerializer)

    @property
    def dependency_ids(self) -> list[Any]:
        """Keys in bytes: rq-dashboard 0.9.0 (web.py, job_info) decodes them, as rq before 2.12.0 wanted it.

        They are read from the job's own record, where they stay when the job that they name has ended.
        """
        return [self.key_for(job_id).encode() for job_id in self._dependency_ids]

    def latest_result(self, timeout: int = 0) -> Result | None:
        try:
            return super().latest_result(timeout)
        except ValueError:
            return None

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        try:
            meta: dict[str, Any] = super().get_meta(refresh)
        except ValueError:
            return {"meta": UNREADABLE}
        return meta

    def get_call_string(self) -> str | None:
        try:
            return super().get_call_string()
        except DeserializationError:
            return UNREADABLE


class ReadOnlyQueue(Queue):
    """A queue whose jobs are safe to look at."""

    job_class = SafeJob

    def remove(self, job_or_id: Job | str, pipeline: Any = None) -> int:  # noqa: ARG002 (rq names them)
        """Leave it: fetch_job (rq/queue.py 2.12.0) would drop what has no record, and look through the whole list."""
        return 0


class SafeWorker(Worker):
    """A worker whose current job is safe to look at."""

    @classmethod
    def all(cls, connection: Redis | None = None, *_: Any, **__: Any) -> list[Any]:
        return super().all(connection, SafeJob, ReadOnlyQueue, None, JSONSerializer)

    def get_current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None  # it ended between the two look-ups
