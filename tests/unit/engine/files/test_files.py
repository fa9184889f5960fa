"""The file store and what authors see of it, on a folder and on a server that speaks S3."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pydantic import BaseModel

from jobs.engine import Fatal, File, SavedFile, save_file
from jobs.engine.accounts.accounts import Accounts
from jobs.engine.author import file_parameters
from jobs.engine.author.documents import blob_exists, delete_user_blobs, user_path, write_blob
from jobs.engine.author.running import Attempt, Cancelled, CurrentJob, begin
from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.client.file_references import file_references
from jobs.engine.errors import (
    BrokerUnavailable,
    Forbidden,
    InvalidParameters,
    StorageUnavailable,
    StoredFileNotFound,
    Unauthenticated,
)
from jobs.engine.files import files as files_module
from jobs.engine.files.bytes import PART_BYTES
from jobs.engine.files.files import FileReference, FileStore, own_store, safe_content_type, safe_filename
from jobs.engine.files.filesystem import open_filesystem
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.operate.cleanup import remove_leftovers
from jobs.engine.settings import Settings, settings


class NoChannel:
    def send(self, message: dict[str, Any]) -> None: ...

    def ask(self, message: dict[str, Any]) -> None: ...


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    of_its_own = Settings(data_dir=tmp_path_factory.mktemp("broker"), redis_url=None)
    with EmbeddedBroker(of_its_own, say=lambda line: None):
        yield of_its_own.broker_url


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def use_s3(address: str, monkeypatch: pytest.MonkeyPatch, bucket: str = "bucket") -> None:
    values = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "STORAGE_URL": f"s3://{bucket}/some/place",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    open_filesystem("s3://x")[0].clear_instance_cache()
    settings.cache_clear()


@pytest.fixture(params=["folder", "s3"])
def storage(request: Any, tmp_path: Path, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", broker_url)
    monkeypatch.delenv("STORAGE_URL", raising=False)
    monkeypatch.setattr(files_module, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(files_module, "PATIENCE_SECONDS", 0.1)
    settings.cache_clear()
    if request.param == "s3":
        use_s3(request.getfixturevalue("s3_address"), monkeypatch)
        client(settings()).create_bucket(Bucket="bucket")
    with connect(settings()) as connection:
        for user in ("alice", "bob"):
            record = {"email": f"{user}@example.com", "roles": "user", "generation": "g"}
            connection.hset(f"wh:user:{user}", mapping=record | {"created_at": "2026-01-01T00:00:00+00:00"})
    yield request.param
    if request.param == "s3":
        for key in objects(settings()):
            client(settings()).delete_object(Bucket="bucket", Key=key)
    with connect(settings()) as connection:
        connection.flushall()
    file_parameters.remove_copies()
    settings.cache_clear()


@pytest.fixture
def store(storage: str) -> FileStore:
    return own_store()


def client(of: Settings) -> Any:
    return open_filesystem(of.storage)[0].client


def objects(of: Settings) -> list[str]:
    """The names of all that is stored."""
    if of.storage.startswith("s3:"):
        return [each["Key"] for each in client(of).list_objects_v2(Bucket="bucket").get("Contents", [])]
    folder = of.data_dir / "storage"
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def keys() -> set[str]:
    with connect(settings()) as connection:
        return {key.decode() for key in connection.scan_iter("wh:file*")}


def save(content: bytes = b"content", owner: str = "alice", name: str = "a.txt", **options: Any) -> str:
    return own_store().save(owner, name, None, iter([content]), **options).file_id


def enter(user: str | None = "alice", job_id: str = "j1", checkpoint: dict[str, Any] | None = None) -> None:
    begin(Attempt(CurrentJob(job_id, "some-job", user, 1, 0), NoChannel(), checkpoint or {}))


@pytest.fixture
def in_a_job(storage: str) -> Iterator[None]:
    enter()
    yield
    begin(None)


# --- the store --------------------------------------------------------------------


def test_a_file_of_several_parts_comes_back_as_it_was(store):
    chunks = [os.urandom(1_000_000) for _ in range(20)]
    file = store.save("alice", "big.bin", None, iter(chunks))
    assert file.size == 20_000_000 > 2 * PART_BYTES
    assert b"".join(store.read(store.find(file.file_id))) == b"".join(chunks)
    assert (
        b"".join(store.read(file, PART_BYTES - 5, PART_BYTES + 5)) == b"".join(chunks)[PART_BYTES - 5 : PART_BYTES + 5]
    )
    assert (file.expires_at - file.created_at).total_seconds() == settings().file_ttl
    assert [name.rsplit("files/")[1] for name in objects(settings())] == [f"alice/{file.file_id}"]


def test_an_empty_file_is_a_file(store):
    assert list(store.read(store.find(save(b"")))) == []


def test_it_is_never_held_whole(store):
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


def test_a_transfer_that_breaks_off_leaves_nothing(store):
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


def test_what_a_killed_process_left_of_a_transfer_is_swept(store, storage):
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


def test_an_expired_file_loses_its_bytes_and_others_keep_them(store, monkeypatch):
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


def test_a_users_files_go_with_the_user_and_no_new_one_comes(store):
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
def test_no_name_of_a_user_leads_out_of_its_folder(store, owner):
    with connect(settings()) as connection:
        connection.hset(f"wh:user:{owner}", "user_id", owner)
    file_id = save(owner=owner)
    [name] = objects(settings())
    assert name.rsplit("files/")[1].count("/") == 1 and ".." not in name
    assert b"".join(store.read(store.find(file_id))) == b"content"


def test_a_file_whose_bytes_are_gone_is_not_found(store):
    file = store.find(save())
    store.bytes.delete("alice", file.file_id)
    with pytest.raises(StoredFileNotFound):
        store.read(file)
    store.delete(file)


def test_a_storage_that_is_away_is_said_to_be_away(storage, s3_address, monkeypatch):
    use_s3(s3_address, monkeypatch, bucket="missing")
    with pytest.raises(StorageUnavailable):
        save()
    assert keys() <= {"wh:files:expiry"}


def test_a_store_without_its_broker_says_so(tmp_path):
    of = Settings(data_dir=tmp_path, redis_url=f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(BrokerUnavailable):
        FileStore(connect(of), of).find("0" * 32)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a/b\\c.txt", "c.txt"),
        ("", "file"),
        ("///", "file"),
        ("\0\n\x7f", "file"),
        ("..\\..", "file"),
        ("x" * 400, "x" * 255),
    ],
)
def test_a_filename_is_made_safe(given, safe):
    assert safe_filename(given) == safe


@pytest.mark.parametrize(
    ("announced", "name", "kept"),
    [
        ("Text/HTML; charset=x", "a", "text/html"),
        (None, "a.csv", "text/csv"),
        ("application/octet-stream", "a.png", "image/png"),
        ("a\r\nX: y", "a", "application/octet-stream"),
        (None, "a", "application/octet-stream"),
    ],
)
def test_a_content_type_is_made_safe(announced, name, kept):
    assert safe_content_type(announced, name) == kept


# --- File ---------------------------------------------------------------------------


class Album(BaseModel):
    cover: File
    pages: dict[str, list[File]] = {}


@dataclass
class Box:
    file: File | None = None


def takes_files(
    first: File,
    more: list[File] | None = None,
    album: Album | None = None,
    box: Box | None = None,
    note: str | File = "",
) -> None: ...


def test_the_files_among_parameters_are_found_wherever_they_are():
    a, b, c, d, e = (letter * 32 for letter in "abcde")
    params = {
        "first": a,
        "more": [b, a],
        "album": {"cover": c, "pages": {"x/y": [d]}},
        "box": {"file": e},
        "note": "f" * 32,
    }
    assert file_references(Parameters(takes_files), params) == [
        FileReference("/first", a),
        FileReference("/more/0", b),
        FileReference("/album/cover", c),
        FileReference("/album/pages/x~1y/0", d),
        FileReference("/box/file", e),
    ]


def test_a_file_is_a_string_in_the_schema():
    schema = Parameters(takes_files).schema["properties"]
    assert schema["first"]["format"] == "file-id" and schema["first"]["type"] == "string"
    assert schema["more"]["anyOf"][0]["items"]["format"] == "file-id"


@pytest.mark.parametrize("bad", ["", "nope", "A" * 32, 7, None, {}, "/etc/passwd"])
def test_what_is_no_file_id_is_no_file(bad):
    with pytest.raises(InvalidParameters) as refused:
        Parameters(takes_files).validate({"first": bad})
    assert refused.value.faults[0].pointer == "/first"


def test_files_are_checked_when_a_job_is_submitted(store):
    mine, theirs = save(), save(owner="bob")
    store.check([FileReference("/a", mine)], "alice", admin=False)
    store.check([FileReference("/a", theirs)], "alice", admin=True)
    with pytest.raises(Forbidden, match="/a"):
        store.check([FileReference("/b", "0" * 32), FileReference("/a", theirs)], "alice", admin=False)
    with pytest.raises(InvalidParameters) as refused:
        store.check([FileReference("/a", mine), FileReference("/b", "0" * 32)], "alice", admin=False)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/b", "unknown_file")]


def test_a_job_reads_its_file(in_a_job, storage):
    [file], _ = Parameters(takes_a_file).bind({"file": save(b"hello\n", name="hello.txt")})
    assert (file.filename, file.content_type, file.size) == ("hello.txt", "text/plain", 6)
    assert file.path.read_bytes() == b"hello\n"
    with file.open() as source:
        assert source.read() == b"hello\n"
    in_storage = settings().data_dir in file.path.parents
    assert in_storage == (storage == "folder")
    path = file.path
    file_parameters.remove_copies()
    assert path.exists() == (storage == "folder")


def takes_a_file(file: File) -> None: ...


def test_copies_that_a_killed_process_left_are_removed_with_the_next_copy(in_a_job, storage):
    if storage == "folder":
        pytest.skip("a folder needs no copies")
    left = file_parameters._folder(2**22 + 1)
    left.mkdir(parents=True)
    (left / "file").touch()
    assert File(file_id=save()).path.exists()
    assert not left.exists()


def test_a_file_that_has_gone_meanwhile_fails_its_job_with_a_sentence(in_a_job, store):
    file_id = save()
    store.delete(store.find(file_id))
    with pytest.raises(Fatal, match="upload it again"):
        File(file_id=file_id).open()


def test_a_job_can_not_use_somebody_elses_file_unless_its_user_is_an_admin(in_a_job):
    theirs = save(owner="bob")
    with pytest.raises(Fatal, match="belongs to somebody else"):
        _ = File(file_id=theirs).path
    with connect(settings()) as connection:
        Accounts(connection, settings()).ensure_admin()
    for user in ("admin", None, "bob"):
        enter(user=user)
        assert File(file_id=theirs).size == 7


def test_a_local_file_stands_for_one_outside_a_job(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2")
    file = File(tmp_path / "a.csv")
    assert (file.filename, file.content_type, file.size) == ("a.csv", "text/csv", 3)
    with file.open() as source:
        assert source.read() == b"1,2"


# --- save_file ------------------------------------------------------------------------


def test_a_produced_file_belongs_to_the_jobs_owner(in_a_job, store, tmp_path):
    (tmp_path / "source").write_bytes(b"from a path")
    for content, expected in ((b"bytes", b"bytes"), (tmp_path / "source", b"from a path"), (b"", b"")):
        saved = save_file(content, "../../out.csv")
        stored = store.find(saved.file_id)
        assert (stored.owner, stored.filename, stored.content_type) == ("alice", "out.csv", "text/csv")
        assert b"".join(store.read(stored)) == expected
    with connect(settings()) as connection:
        assert connection.zcard("wh:files:alice") == 3


def test_what_it_returns_can_stand_in_a_result(in_a_job):
    def produce() -> SavedFile:
        return save_file(b"x", "x.txt")

    text = ResultType(produce).dump(produce())
    saved = SavedFile.model_validate_json(text)
    assert (saved.filename, saved.size) == ("x.txt", 1)
    assert ResultType(produce).schema["properties"]["file_id"] == {"title": "File Id", "type": "string"}


def test_an_attempt_that_is_made_again_replaces_what_the_first_one_saved(in_a_job, store):
    first = [save_file(content, "a").file_id for content in (b"1", b"2")]
    enter()
    second = [save_file(content, "b").file_id for content in (b"3", b"4")]
    assert first == second
    assert len(objects(settings())) == 2
    assert [b"".join(store.read(store.find(each))) for each in second] == [b"3", b"4"]
    enter(job_id="j2")
    assert save_file(b"5", "c").file_id not in first


def test_what_the_checkpoint_names_is_kept(in_a_job, store):
    kept = save_file(b"done before", "a")
    enter(checkpoint={"step": {"file": kept.model_dump(mode="json")}})
    later = save_file(b"done after", "b")
    assert later.file_id != kept.file_id
    assert b"".join(store.read(store.find(kept.file_id))) == b"done before"


def test_files_of_a_job_of_nobody_are_kept_for_admins(in_a_job, store):
    enter(user=None)
    assert store.find(save_file(b"x", "x").file_id).owner == ""


def test_a_job_whose_owner_was_removed_stops(in_a_job):
    with connect(settings()) as connection:
        connection.delete("wh:user:alice")
    with pytest.raises(Cancelled):
        save_file(b"x", "x")
    assert objects(settings()) == []


def test_saving_outside_a_job_leaves_a_file_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    settings.cache_clear()
    saved = save_file(io.BytesIO(b"x").getvalue(), "x.txt")
    assert (tmp_path / "saved" / saved.file_id / "x.txt").read_bytes() == b"x"
    settings.cache_clear()


def test_a_removed_users_blobs_go_and_no_others(storage: str) -> None:
    for user in ("alice", "bob"):
        write_blob(user_path("documents/notes.json", user), b"{}")
        write_blob(user_path("models/a/b.npz", user), b"model")

    delete_user_blobs("alice", settings())

    kept = [user_path("documents/notes.json", user) for user in ("alice", "bob")]
    assert [blob_exists(path) for path in kept] == [False, True]
    assert not blob_exists(user_path("models/a/b.npz", "alice"))
    delete_user_blobs("nobody-ever", settings())


def test_clean_up_removes_the_blobs_of_users_who_are_gone(storage: str) -> None:
    for user in ("alice", "gone"):
        write_blob(user_path("documents/notes.json", user), b"{}")

    assert remove_leftovers().users == 1

    assert blob_exists(user_path("documents/notes.json", "alice"))
    assert not blob_exists(user_path("documents/notes.json", "gone"))
