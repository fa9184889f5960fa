"""Blobs and documents, in a real folder, in a foreign store, and under a real broker's lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.author import documents as storage
from jobs.engine.author.documents import blob_exists, read_blob, user_document, user_path, write_blob
from jobs.engine.author.running import Attempt, CurrentJob, begin
from jobs.engine.broker.connection import connect
from jobs.engine.errors import BlobNotFound, BrokerUnavailable, TryAgainLater
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
    # Nobody listens here: what works without a broker is seen to.
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


# --- blobs ----------------------------------------------------------------------


def test_a_blob_is_read_as_it_was_written_and_replaced_whole(folder: Path) -> None:
    write_blob("models/a.npz", b"\x00old, and longer")
    write_blob("models/a.npz", b"\xffnew")
    assert read_blob("models/a.npz") == b"\xffnew"
    assert [path.name for path in (folder / "models").iterdir()] == ["a.npz"]


def test_a_blob_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(BlobNotFound, match=r"models/none\.npz") as missing:
        read_blob("models/none.npz")
    assert str(folder) not in missing.value.message
    assert not blob_exists("models/none.npz")


def test_a_reader_sees_the_old_blob_or_the_new_one_and_nothing_between() -> None:
    versions = [bytes([n]) * 200_000 for n in range(2)]
    write_blob("big", versions[0])
    done = threading.Event()

    def write() -> None:
        for n in range(60):
            write_blob("big", versions[n % 2])
        done.set()

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        while not done.is_set():
            assert read_blob("big") in versions
        writing.result()


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "a/../../b", "a//b", "a/.hidden", "", "a\0b", "a/", "a\\b"]
)
def test_a_path_that_leads_out_of_the_storage_is_refused(path: str) -> None:
    for act in (read_blob, blob_exists):
        with pytest.raises(ValueError, match="can't name a blob"):
            act(path)
    with pytest.raises(ValueError, match="can't name a blob"):
        write_blob(path, b"")


def test_another_store_than_a_folder_is_used_by_its_url(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("STORAGE_URL", "memory://bucket")
    settings.cache_clear()
    write_blob("a/b", b"far away")
    assert read_blob("a/b") == b"far away"
    assert blob_exists("a/b")
    assert not blob_exists("a")
    with pytest.raises(BlobNotFound):
        read_blob("a")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["alice", "..", "a/b", "a.b", "ünï", "*"])
def test_every_user_has_a_folder_that_no_other_name_leads_to(name: str) -> None:
    write_blob(user_path("x", name), name.encode())
    write_blob(user_path("x", "bob"), b"bob's")
    assert read_blob(user_path("x", name)) == name.encode()
    assert len(user_path("x", name).split("/")) == 3


# --- documents ------------------------------------------------------------------


def test_a_document_works_outside_a_job_without_a_broker() -> None:
    with user_document("notes") as document:
        assert document == {}
        document["a"] = 1
    with user_document("notes") as document:
        assert document == {"a": 1}


def test_a_document_is_left_as_it_was_when_the_block_fails() -> None:
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


def test_writers_that_come_at_once_lose_nothing(with_broker: None) -> None:
    def count(_: int) -> None:
        with user_document("counter", user_id="alice") as document:
            document["n"] = document.get("n", 0) + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(24)))
    with user_document("counter", user_id="alice") as document:
        assert document == {"n": 24}


def test_a_document_in_use_is_waited_for_no_longer_than_the_limit(
    with_broker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LOCK_WAIT_SECONDS", 0.2)
    with (
        user_document("notes", user_id="alice"),
        pytest.raises(TryAgainLater, match="in use"),
        user_document("notes", user_id="alice"),
    ):
        pytest.fail("two hold it")


def test_a_holder_that_died_blocks_nobody_for_longer_than_its_locks_life(
    with_broker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.LOCK_LIFETIME_SECONDS < storage.LOCK_WAIT_SECONDS
    monkeypatch.setattr(storage, "LOCK_LIFETIME_SECONDS", 0.3)
    with connect(settings()) as connection:
        connection.lock("wh:lock:users/alice/documents/notes.json", timeout=0.3).acquire()
    with user_document("notes", user_id="alice") as document:
        document["a"] = 1
    with user_document("notes", user_id="alice") as document:
        assert document == {"a": 1}


def test_a_holder_whose_lock_was_taken_over_writes_nothing(with_broker: None) -> None:
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


def test_a_document_without_its_broker_says_that_the_broker_is_away() -> None:
    with pytest.raises(BrokerUnavailable), user_document("notes", user_id="alice"):
        pytest.fail("it has no lock")
