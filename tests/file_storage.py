"""A file storage for tests, once as a folder and once as a server that speaks S3; and a job that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.author import outage
from jobs.engine.author.file_copies import remove_copies
from jobs.engine.author.running import Attempt, CurrentJob, begin
from jobs.engine.broker.connection import connect
from jobs.engine.files.files import FileStore, own_store
from jobs.engine.files.filesystem import open_filesystem
from jobs.engine.local.embedded_broker import EmbeddedBroker
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
    # Its import takes half a second in each test process.
    from moto.server import ThreadedMotoServer

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
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.1)
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
    remove_copies()
    settings.cache_clear()


@pytest.fixture
def store(storage: str) -> FileStore:
    return own_store()


def client(of: Settings) -> Any:
    return open_filesystem(of.storage)[0].client


def objects(of: Settings) -> list[str]:
    """Return the names of all stored objects."""
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
