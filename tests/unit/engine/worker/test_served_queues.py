"""A worker finds the queues that it can serve, and announces them while it takes jobs."""

from __future__ import annotations

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.queue_names import Ability
from jobs.engine.worker import served_queues
from jobs.engine.worker.served_queues import VALID_SECONDS, ServedQueues
from tests.imitation import ImitatedRedis

GPU = Ability(can=frozenset({"gpu"}))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(served_queues, "LOOK_SECONDS", 0.0)
    store = Store(ImitatedRedis(server=fakeredis.FakeServer(), protocol=2))
    store.connection.hset("rq:worker:w", mapping={"birth": "2030-01-31T12:00:00.000000Z", "queues": ""})
    return store


def exists(store: Store, *queues: str) -> None:
    store.connection.sadd("rq:queues", *(f"rq:queue:{queue}" for queue in queues))


def announced(store: Store) -> set[str]:
    keys: list[bytes] = list(store.connection.scan_iter("wh:served:*"))
    return {key.decode().removeprefix("wh:served:") for key in keys}


def test_a_queue_is_served_once_it_exists(store: Store) -> None:
    served = ServedQueues("w", GPU, store)
    assert not served.look()
    assert served.names == ["high", "default", "low"]
    exists(store, "default@gpu", "default@large", "emails")
    assert served.look()
    assert served.names == ["high", "default@gpu", "default", "low"]
    assert not served.look()


def test_served_queues_are_announced_for_a_while_and_shown_in_the_worker_s_record(store: Store) -> None:
    exists(store, "high@gpu")
    ServedQueues("w", GPU, store).look()
    assert announced(store) == {"high@gpu", "high", "default", "low"}
    assert store.connection.ttl("wh:served:high@gpu") == VALID_SECONDS
    assert store.connection.hmget("rq:worker:w", "can", "queues") == [b"gpu", b"high@gpu,high,default,low"]
    assert store.connection.smembers("rq:workers:high@gpu") == {b"rq:worker:w"}


def test_a_worker_with_a_single_purpose_announces_nothing_without_a_queue_for_it(store: Store) -> None:
    only = ServedQueues("w", Ability(can=frozenset({"gpu"}), only=frozenset({"gpu"})), store)
    exists(store, "default")
    assert not only.look()
    assert announced(store) == set()
    exists(store, "low@gpu")
    assert only.look()
    assert announced(store) == {"low@gpu"}


def test_a_worker_whose_record_has_expired_gets_no_record_without_an_end(store: Store) -> None:
    store.connection.delete("rq:worker:w")
    ServedQueues("w", GPU, store).look()
    assert not store.connection.exists("rq:worker:w")
    assert "default" in announced(store)


def test_a_queue_that_was_forgotten_is_no_longer_served(store: Store) -> None:
    served = ServedQueues("w", GPU, store)
    exists(store, "low@gpu")
    served.look()
    store.connection.srem("rq:queues", "rq:queue:low@gpu")
    assert served.look()
    assert served.names == ["high", "default", "low"]
