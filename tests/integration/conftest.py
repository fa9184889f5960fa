"""A real broker and real workers for each file of tests. They end with the file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from jobs.engine.follow.follower import Follower
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.operate.doctor import Doctor
from jobs.engine.settings import Settings
from tests.integration.harness import JOB_PACKAGES, Harness


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        job_packages=(JOB_PACKAGES,),
        workers=1,
        shutdown_grace=8,
        max_result_bytes=100_000,
    )


@pytest.fixture(scope="module")
def broker(settings: Settings) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(settings) as broker:
        yield broker


@pytest.fixture(scope="module")
def harness(broker: EmbeddedBroker, settings: Settings) -> Iterator[Harness]:
    with ExitStack() as stack:
        yield Harness(broker, settings, stack)


@pytest.fixture
def cleared(harness: Harness) -> Iterator[None]:
    """End the processes that the test has started, and empty the broker."""
    yield
    harness.end_all()
    harness.forget_everything()


@pytest.fixture
def examined(harness: Harness) -> Iterator[None]:
    """The same, and the doctor must have found nothing in between."""
    yield
    harness.end_all()
    findings = Doctor(harness.store).examine()
    harness.forget_everything()
    assert findings == []


@pytest.fixture(scope="module")
def workers(harness: Harness) -> subprocess.Popen[bytes]:
    return harness.start_workers()


@pytest.fixture(scope="module")
def follower(harness: Harness) -> Follower:
    return Follower(harness.client)
