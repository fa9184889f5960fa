"""A priority that no live worker takes causes a warning."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.operate.coverage import warn_about_coverage
from tests.imitation import ImitatedRedis


@pytest.fixture
def store() -> Store:
    return Store(ImitatedRedis(server=fakeredis.FakeServer(), protocol=2))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.discover(["jobs"])


def live(store: Store, name: str, **fields: str) -> None:
    record: Any = {"state": "idle"} | fields
    store.connection.hset(f"rq:worker:{name}", mapping=record)
    store.connection.sadd("rq:workers", f"rq:worker:{name}")


def low(catalogue: Catalogue) -> list[str]:
    return [job_type.name for job_type in catalogue.values() if job_type.priority == "low"]


def test_workers_that_take_everything_together_cause_no_warning(store: Store, catalogue: Catalogue) -> None:
    live(store, "a", queues="high,default")
    live(store, "b", queues="low")
    assert warn_about_coverage(store, catalogue) == []


def test_a_priority_that_no_worker_takes_is_named_with_its_job_types(store: Store, catalogue: Catalogue) -> None:
    live(store, "a", queues="high,default")
    (warning,) = warn_about_coverage(store, catalogue)
    assert warning.startswith("No live worker takes jobs of priority low (WORKER_QUEUES): ")
    assert low(catalogue)[0] in warning


def test_a_draining_worker_does_not_count(store: Store, catalogue: Catalogue) -> None:
    live(store, "a", queues="high,default")
    live(store, "b", queues="low", draining="2030-01-31T12:00:00.000000Z")
    assert len(warn_about_coverage(store, catalogue)) == 1


def test_needs_that_no_worker_meets_are_named(store: Store) -> None:
    catalogue = Catalogue.discover(["tests.jobs_for_tests"])
    live(store, "a", queues="high,default,low", can="gpu")
    assert warn_about_coverage(store, catalogue) == ["No live worker has gpu and large in WORKER_CAN: on-large-gpu."]
    live(store, "b", queues="", can="gpu,large")
    assert warn_about_coverage(store, catalogue) == []


def test_a_queue_in_which_jobs_wait_for_no_worker_is_named(store: Store, catalogue: Catalogue) -> None:
    live(store, "a", queues="high,default,low")
    store.connection.sadd("rq:queues", "rq:queue:default@gpu", "rq:queue:emails")
    store.connection.rpush("rq:queue:default@gpu", "j1", "j2")
    store.connection.rpush("rq:queue:emails", "j3")
    assert warn_about_coverage(store, catalogue) == ["No live worker serves queue default@gpu, in which jobs wait: 2."]


def test_no_worker_at_all_is_one_warning(store: Store, catalogue: Catalogue) -> None:
    assert warn_about_coverage(store, catalogue) == ["No worker is running."]
