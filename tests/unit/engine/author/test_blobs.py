"""Blobs in a real folder and in other stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.engine.author.blobs import blob_exists, delete_user_blobs, read_blob, user_path, write_blob
from jobs.engine.errors import BlobNotFound
from jobs.engine.settings import settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("STORAGE_URL", raising=False)
    # No broker listens here: blobs need none.
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    settings.cache_clear()
    yield tmp_path / "storage"
    settings.cache_clear()


def test_a_blob_is_replaced_as_a_whole(folder: Path) -> None:
    write_blob("models/a.npz", b"\x00old, and longer")
    write_blob("models/a.npz", b"\xffnew")
    assert read_blob("models/a.npz") == b"\xffnew"
    assert [path.name for path in (folder / "models").iterdir()] == ["a.npz"]


def test_a_missing_blob_is_named(folder: Path) -> None:
    with pytest.raises(BlobNotFound, match=r"models/none\.npz") as missing:
        read_blob("models/none.npz")
    assert str(folder) not in missing.value.message
    assert not blob_exists("models/none.npz")


def test_a_reader_sees_the_old_blob_or_the_new_one(folder: Path) -> None:
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
def test_a_path_that_leads_out_of_the_storage_is_refused(folder: Path, path: str) -> None:
    for act in (read_blob, blob_exists):
        with pytest.raises(ValueError, match="is not a valid path"):
            act(path)
    with pytest.raises(ValueError, match="is not a valid path"):
        write_blob(path, b"")


def test_blobs_are_stored_at_storage_url(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
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
def test_each_user_has_a_folder_of_their_own(folder: Path, name: str) -> None:
    write_blob(user_path("x", name), name.encode())
    write_blob(user_path("x", "bob"), b"bob's")
    assert read_blob(user_path("x", name)) == name.encode()
    assert len(user_path("x", name).split("/")) == 3


def test_only_the_blobs_of_the_given_user_are_deleted(storage: str) -> None:
    for user in ("alice", "bob"):
        write_blob(user_path("documents/notes.json", user), b"{}")
        write_blob(user_path("models/a/b.npz", user), b"model")

    delete_user_blobs("alice", settings())

    kept = [user_path("documents/notes.json", user) for user in ("alice", "bob")]
    assert [blob_exists(path) for path in kept] == [False, True]
    assert not blob_exists(user_path("models/a/b.npz", "alice"))
    delete_user_blobs("nobody-ever", settings())
