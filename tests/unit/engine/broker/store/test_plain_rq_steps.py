"""The steps that cancel a job of plain RQ, at moments that a real worker passes in milliseconds."""

from __future__ import annotations

import pytest
import redis

from jobs.engine.broker.store.claims import ForeignClaim
from jobs.engine.broker.store.leases import Lease
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.store.verdicts import CancelVerdict
from jobs.engine.operate.doctor import Doctor

WORKER = "host-1-w"
DIED = Outcome(OutcomeKind.RESUMED, reason="worker_lost", deaths=1)


@pytest.fixture
def store(connection: redis.Redis) -> Store:
    return Store(connection)


@pytest.fixture
def claimed(store: Store, connection: redis.Redis) -> ForeignClaim:
    connection.hset("rq:job:a", mapping={"status": "queued", "origin": "default", "data": '["m.noop",null,[],{}]'})
    connection.rpush("rq:queue:default", "a")
    claim = store.claim(WORKER, "e", ("default",))
    assert isinstance(claim, ForeignClaim)
    return claim


def status(connection: redis.Redis) -> object:
    return connection.hget("rq:job:a", "status")


def test_a_job_that_is_cancelled_between_its_claim_and_its_start_is_stopped(
    store: Store, connection: redis.Redis, claimed: ForeignClaim
) -> None:
    assert store.cancel("a") is CancelVerdict.STOPPING
    connection.hset("rq:job:a", "status", "started")

    assert store.heartbeat(WORKER, "a", claimed.execution, 60) is Lease.CANCEL
    assert store.finish("a", claimed.execution, WORKER, DIED) is OutcomeKind.CANCELLED
    assert (status(connection), connection.hexists("rq:job:a", "cancel")) == (b"canceled", False)
    assert not Doctor(store).examine()


def test_a_job_that_rq_would_try_again_is_cancelled_if_that_was_asked_for(
    store: Store, connection: redis.Redis, claimed: ForeignClaim
) -> None:
    connection.hset("rq:job:a", "status", "started")
    assert store.cancel("a") is CancelVerdict.STOPPING
    connection.hset("rq:job:a", "status", "scheduled")
    connection.zadd("rq:scheduled:default", {"a": 1})

    store.release("a", claimed.execution, WORKER)

    assert status(connection) == b"canceled"
    assert not connection.exists("rq:scheduled:default")


def test_a_request_to_cancel_does_not_outlive_the_end_of_its_job(
    store: Store, connection: redis.Redis, claimed: ForeignClaim
) -> None:
    connection.hset("rq:job:a", "status", "started")
    store.cancel("a")
    connection.hset("rq:job:a", "status", "failed")
    store.release("a", claimed.execution, WORKER)

    store.retry("a", 0)

    assert (status(connection), connection.hexists("rq:job:a", "cancel")) == (b"queued", False)
