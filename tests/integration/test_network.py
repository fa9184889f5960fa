"""A worker whose connection to the broker is cut or slow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.harness import Harness, alive
from tests.integration.relay import Relay
from tests.waiting import ALLOWANCE_SECONDS, eventually


@pytest.fixture
def relay(harness: Harness, tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(tmp_path / "relay.sock", harness.settings.broker_socket)
    yield relay
    relay.close()
    harness.end_all()
    harness.forget_everything()


def test_a_worker_that_is_cut_off_for_a_few_seconds_saves_the_result_of_its_job(
    harness: Harness, relay: Relay, tmp_path: Path
) -> None:
    harness.start_workers(REDIS_URL=relay.url)
    path = tmp_path / "pids"
    job = harness.submit("note-pid-and-sleep", path=str(path), seconds=2)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")

    relay.freeze()
    horse = int(path.read_text())
    eventually(lambda: not alive(horse), "the job ends while the broker is out of reach")
    assert harness.client.find(job.job_id).status == "running"
    relay.heal()

    ended = harness.ended(job)
    assert (ended.status, ended.attempt, ended.resumed) == ("completed", 1, 0)
    assert len(path.read_text().split()) == 1


@pytest.mark.slow
def test_a_worker_that_is_cut_off_too_long_loses_its_job_and_ends_its_horse(
    harness: Harness, relay: Relay, tmp_path: Path
) -> None:
    harness.start_workers(REDIS_URL=relay.url)
    path = tmp_path / "pids"
    job = harness.submit("note-pid-and-sleep", path=str(path), seconds=25)
    eventually(lambda: path.exists() and path.read_text(), "the job starts")
    harness.start_workers()

    relay.freeze()
    cut = time.monotonic()
    eventually(lambda: len(path.read_text().split()) == 2, "another worker resumes it")
    assert time.monotonic() - cut < 15 + ALLOWANCE_SECONDS
    first, second = map(int, path.read_text().split())
    assert alive(first), "a worker that is cut off lets its horse continue"
    relay.heal()

    # Its sockets time out within 2 s. It reconnects, and then learns that another worker holds the job.
    eventually(lambda: not alive(first), "the first horse is ended", timeout=6 + ALLOWANCE_SECONDS)
    assert alive(second)
    harness.client.cancel(job.job_id)
    ended = harness.ended(job)
    assert (ended.status, ended.resumed) == ("cancelled", 1)
    started = [event for event in harness.client.events(job.job_id) if event["type"] == "job_started"]
    assert len(started) == 2


@pytest.mark.slow
def test_a_worker_with_a_slow_connection_to_its_broker_keeps_its_lease(harness: Harness, relay: Relay) -> None:
    relay.delay_seconds = 0.25  # each way
    harness.start_workers(REDIS_URL=relay.url)

    job = harness.submit("report-slowly", steps=4, seconds=0.5)

    ended = harness.ended(job, timeout=40)
    assert (ended.status, ended.result, ended.resumed) == ("completed", 4, 0)
