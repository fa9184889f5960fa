from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from jobs.engine.broker.connection import connect
from jobs.engine.errors import (
    BrokerUnavailable,
    StorageUnavailable,
    StoredFileNotFound,
    Unauthenticated,
)
from jobs.engine.files.bytes import PART_BYTES
from jobs.engine.files.files import FileStore
from jobs.engine.settings import Settings, settings
from tests.file_storage import client, keys, objects, save, use_s3


def test_a_file_of_several_parts_is_read_back_unchanged(store):
    chunks = [os.urandom(1_000_000) for _ in range(20)]
    file = store.save("alice", "big.bin", None, iter(chunks))
    assert file.size == 20_000_000 > 2 * PART_BYTES
    assert b"".join(store.read(store.find(file.file_id))) == b"".join(chunks)
    assert (
        b"".join(store.read(file, PART_BYTES - 5, PART_BYTES + 5)) == b"".join(chunks)[PART_BYTES - 5 : PART_BYTES + 5]
    )
    assert (file.expires_at - file.created_at).total_seconds() == settings().file_ttl
    assert [name.rsplit("files/")[1] for name in objects(settings())] == [f"alice/{file.file_id}"]


def test_an_empty_file_is_stored(store):
    assert list(store.read(store.find(save(b"")))) == []


def test_a_file_is_never_held_in_memory_as_a_whole(store):
    most = 0
    alive = 0

    class Chunk(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def chunks() -> Iterator[bytes]:
        nonlocal most, alive
        for _ in range(300):
            alive += 1
            most = max(most, alive)
            yield Chunk(100_000)

    assert store.save("alice", "a", None, chunks()).size == 30_000_000
    assert most <= 3


def test_an_interrupted_transfer_leaves_nothing(store):
    def broken() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.save("alice", "a", None, broken())
    assert objects(settings()) == []
    assert keys() == set()
    if settings().storage.startswith("s3:"):
        assert "Uploads" not in client(settings()).list_multipart_uploads(Bucket="bucket")


def test_the_transfer_of_a_killed_process_is_swept(store, storage):
    holding, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"x" * 10_000_000
        holding.set()
        go_on.wait(20)
        yield b"y"

    saving = threading.Thread(target=lambda: store.save("alice", "a", None, slow()))
    saving.start()
    assert holding.wait(20)
    with connect(settings()) as connection:
        [(member, score)] = connection.zrange("wh:files:expiry", 0, -1, withscores=True)
        assert member.startswith(b"alice/") and score > connection.time()[0] + 3_600
        assert store.sweep() == 0
    go_on.set()
    saving.join()
    # As if that process had died before the record was written.
    with connect(settings()) as connection:
        connection.delete(f"wh:file:{member.decode()[6:]}")
        connection.zadd("wh:files:expiry", {member: 1})
    assert store.sweep() == 1
    assert (objects(settings()), keys()) == ([], set())


def test_only_the_bytes_of_expired_files_are_swept(store, monkeypatch):
    kept = save(b"kept")
    expired = save(b"expired", owner="bob")
    with connect(settings()) as connection:
        assert connection.ttl(f"wh:file:{expired}") > 0
        connection.delete(f"wh:file:{expired}")  # as the broker does when its time is over
        connection.zadd("wh:files:expiry", {f"bob/{expired}": 1})
    assert store.sweep() == 1
    assert store.sweep() == 0
    assert [name.rsplit("/")[-1] for name in objects(settings())] == [kept]
    assert keys() == {f"wh:file:{kept}", "wh:files:expiry", "wh:files:alice"}


def test_a_removed_user_has_no_files_and_can_store_none(store):
    bobs = save(owner="bob")
    for _ in range(3):
        save()
    with connect(settings()) as connection:
        connection.delete("wh:user:alice")
    store.delete_all("alice")
    assert [name.rsplit("/")[-1] for name in objects(settings())] == [bobs]
    with pytest.raises(Unauthenticated):
        save()
    assert len(objects(settings())) == 1
    assert "wh:files:alice" not in keys()


@pytest.mark.parametrize("owner", ["..", "a.b", "-x", ""])
def test_no_username_leads_out_of_its_folder(store, owner):
    with connect(settings()) as connection:
        connection.hset(f"wh:user:{owner}", "user_id", owner)
    file_id = save(owner=owner)
    [name] = objects(settings())
    assert name.rsplit("files/")[1].count("/") == 1 and ".." not in name
    assert b"".join(store.read(store.find(file_id))) == b"content"


def test_a_file_without_its_bytes_is_not_found(store):
    file = store.find(save())
    store.bytes.delete("alice", file.file_id)
    with pytest.raises(StoredFileNotFound):
        store.read(file)
    store.delete(file)


def test_an_unreachable_storage_is_reported(storage, s3_address, monkeypatch):
    use_s3(s3_address, monkeypatch, bucket="missing")
    with pytest.raises(StorageUnavailable):
        save()
    assert keys() <= {"wh:files:expiry"}


def test_an_unreachable_broker_is_reported(tmp_path):
    of = Settings(data_dir=tmp_path, redis_url=f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(BrokerUnavailable):
        FileStore(connect(of), of).find("0" * 32)


@pytest.mark.parametrize("member", [b"garbage", b"alice/garbage", b"\xff/x", b""])
def test_a_malformed_entry_does_not_stop_the_sweep(store, member):
    with connect(settings()) as connection:
        connection.zadd("wh:files:expiry", {member: 1})
        assert store.sweep() == 1
        assert store.sweep() == 0
        assert connection.zscore("wh:files:expiry", member) is None
