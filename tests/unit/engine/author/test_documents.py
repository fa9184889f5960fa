"""Documents in a real folder, under the lock of a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.author import documents
from jobs.engine.author.documents import user_document
from jobs.engine.author.running import Attempt, CurrentJob, begin
from jobs.engine.broker.connection import connect
from jobs.engine.errors import BrokerUnavailable, TryAgainLater
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings, settings


class NoChannel:
    def send(self, message: dict[str, Any]) -> None: ...

    def ask(self, message: dict[str, Any]) -> None: ...


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedBroker(
        Settings(data_dir=tmp_path_factory.mktemp("broker"), redis_url=None), say=lambda line: None
    ) as b:
        yield b.settings.broker_url


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("STORAGE_URL", raising=False)
    # No broker listens here: some tests show what works without one.
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    settings.cache_clear()
    yield tmp_path / "storage"
    settings.cache_clear()


@pytest.fixture
def with_broker(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REDIS_URL", broker_url)
    settings.cache_clear()
    yield
    with connect(settings()) as connection:
        connection.flushall()


@pytest.fixture
def in_a_job_of_alice(with_broker: None) -> Iterator[None]:
    begin(Attempt(CurrentJob("j1", "some-job", "alice", 1, 0), NoChannel(), {}))
    yield
    begin(None)


def test_outside_a_job_a_document_needs_no_broker() -> None:
    with user_document("notes") as document:
        assert document == {}
        document["a"] = 1
    with user_document("notes") as document:
        assert document == {"a": 1}


def test_a_document_is_unchanged_if_the_block_fails() -> None:
    with user_document("notes") as document:
        document["a"] = 1
    with pytest.raises(ZeroDivisionError), user_document("notes") as document:
        document["a"] = 1 / 0
    with user_document("notes") as document:
        assert document == {"a": 1}


def test_a_document_in_a_job_belongs_to_the_jobs_user(in_a_job_of_alice: None) -> None:
    with user_document("notes") as document:
        document["whose"] = "alice's"
    with user_document("notes", user_id="bob") as document:
        assert document == {}
    with user_document("notes", user_id="alice") as document:
        assert document == {"whose": "alice's"}


def test_concurrent_changes_are_all_kept(with_broker: None) -> None:
    def count(_: int) -> None:
        with user_document("counter", user_id="alice") as document:
            document["n"] = document.get("n", 0) + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(24)))
    with user_document("counter", user_id="alice") as document:
        assert document == {"n": 24}


def test_the_wait_for_a_document_is_limited(with_broker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LOCK_WAIT_SECONDS", 0.2)
    with (
        user_document("notes", user_id="alice"),
        pytest.raises(TryAgainLater, match="in use"),
        user_document("notes", user_id="alice"),
    ):
        pytest.fail("two hold it")


def test_the_lock_of_a_dead_holder_expires(with_broker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert documents.LOCK_LIFETIME_SECONDS < documents.LOCK_WAIT_SECONDS
    monkeypatch.setattr(documents, "LOCK_LIFETIME_SECONDS", 0.3)
    with connect(settings()) as connection:
        connection.lock("wh:lock:users/alice/documents/notes.json", timeout=0.3).acquire()
    with user_document("notes", user_id="alice") as document:
        document["a"] = 1
    with user_document("notes", user_id="alice") as document:
        assert document == {"a": 1}


def test_nothing_is_written_after_the_lock_is_lost(with_broker: None) -> None:
    def lose_the_lock_while_writing() -> None:
        with user_document("notes", user_id="alice") as document:
            document["a"] = "stale"
            with connect(settings()) as connection:
                connection.delete("wh:lock:users/alice/documents/notes.json")
            with user_document("notes", user_id="alice") as other:
                other["a"] = "fresh"

    with pytest.raises(TryAgainLater, match="held for too long"):
        lose_the_lock_while_writing()
    with user_document("notes", user_id="alice") as document:
        assert document == {"a": "fresh"}


def test_an_unreachable_broker_is_reported() -> None:
    with pytest.raises(BrokerUnavailable), user_document("notes", user_id="alice"):
        pytest.fail("it has no lock")
