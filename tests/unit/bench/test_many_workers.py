"""Workers that run nothing take the steps of real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import many_workers
from bench.backlog import fill
from bench.many_workers import EXECUTION, JOB, NEXT
from bench.workbench import QUICK, Workbench
from jobs.engine.client.client import Client

DATABASE = 3
JOBS = 20


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Workbench(QUICK, folder=tmp_path) as bench:
        yield bench


@pytest.fixture
def client(bench: Workbench) -> Client:
    client = bench.client(DATABASE)
    fill(client, JOBS)
    return client


def test_each_job_is_claimed_and_finished_once(bench: Workbench, client: Client) -> None:
    assert many_workers.work(bench.settings.broker_socket, DATABASE, number=3, jobs=JOBS) == JOBS

    assert client.store.connection.zcard("rq:finished:default") == JOBS
    done = [client.store.connection.hget(f"rq:worker:bench-{each}", "successful_job_count") for each in range(3)]
    assert sum(int(count) for count in done if count) == JOBS


def test_workers_end_when_they_have_finished_the_jobs_that_were_asked_for(bench: Workbench, client: Client) -> None:
    assert many_workers.work(bench.settings.broker_socket, DATABASE, number=3, jobs=JOBS - 5) == JOBS - 5

    assert client.store.connection.zcard("rq:finished:default") == JOBS - 5
    assert client.store.connection.llen("rq:queue:default") == 5
    assert client.store.connection.zcard("wh:leases") == 0


def test_workers_end_when_the_queue_is_empty(bench: Workbench, client: Client) -> None:
    assert many_workers.work(bench.settings.broker_socket, DATABASE, number=3, jobs=JOBS + 5) == JOBS


def test_a_packed_step_has_each_placeholder_once() -> None:
    packed = many_workers.packed_step("worker").decode()
    assert [packed.count(placeholder) for placeholder in (JOB, EXECUTION, NEXT)] == [1, 1, 1]
    assert "_finish_and_claim" in packed


def test_a_packed_last_step_claims_nothing() -> None:
    packed = many_workers.packed_last_step("worker").decode()
    assert [packed.count(placeholder) for placeholder in (JOB, EXECUTION, NEXT)] == [1, 1, 0]
    assert "_finish" in packed
    assert "_finish_and_claim" not in packed
