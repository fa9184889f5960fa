"""The list of workers, from RQ's records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.operate.workers import workers
from tests.imitation import ImitatedRedis


@pytest.fixture
def connection() -> Any:
    return ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)


def test_workers_are_listed_by_name_with_what_they_do(connection: Any) -> None:
    busy = {"state": "busy", "hostname": "h1", "pid": "7", "queues": "high,low", "current_job": "j1"}
    counts = {"successful_job_count": "3", "failed_job_count": "1", "birth": "2026-11-25T09:00:00.000000Z"}
    connection.hset("rq:worker:b", mapping=busy | counts)
    connection.hset("rq:worker:a", mapping={"state": "idle"})
    connection.hset("rq:job:j1", "type", "noop")
    connection.sadd("rq:workers", "rq:worker:a", "rq:worker:b")
    idle, worker = workers(Store(connection))
    assert (idle.name, idle.state, idle.queues, idle.job_id, idle.born_at) == ("a", "idle", (), None, None)
    assert (worker.name, worker.hostname, worker.pid, worker.queues) == ("b", "h1", "7", ("high", "low"))
    assert (worker.job_id, worker.job_type, worker.successful, worker.failed) == ("j1", "noop", 3, 1)
    assert worker.born_at == datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_a_worker_whose_record_has_expired_is_not_listed(connection: Any) -> None:
    connection.sadd("rq:workers", "rq:worker:gone")
    assert workers(Store(connection)) == []
