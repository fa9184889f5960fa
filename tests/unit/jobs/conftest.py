"""The surroundings of job functions in tests: a data directory, and a real attempt with a channel that records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.author.file_parameters import File
from jobs.engine.author.file_results import SavedFile
from jobs.engine.author.running import Attempt, CurrentJob, begin
from jobs.engine.broker.connection import connect
from jobs.engine.files.files import own_store
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings, settings
from tests.loopback import serving


class RecordedAttempt(Attempt):
    """An attempt that keeps every progress report."""

    def __init__(self, job: CurrentJob, checkpoint: dict[str, Any]) -> None:
        super().__init__(job, Acknowledging(), checkpoint)
        self.steps: list[tuple[float, str | None]] = []

    def progress(self, *args: Any) -> None:
        super().progress(*args)
        state = self.reporting.progress()
        self.steps.append((state.percent, state.message))


class Acknowledging:
    def send(self, message: dict[str, Any]) -> None: ...

    def ask(self, message: dict[str, Any]) -> None: ...


class Site(ThreadingHTTPServer):
    """A web server on loopback. The test sets its responses: `answer(method, path, headers, body)`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: Callable[..., tuple[int, dict[str, str], bytes]] = lambda *_: (404, {}, b"")
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                site.seen.append(request)
                status, headers, answer = site.answer(*request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET  # noqa: N815 (http.server's name)

            def log_message(self, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    own_settings = Settings(data_dir=tmp_path_factory.mktemp("broker"), redis_url=None)
    with EmbeddedBroker(own_settings, say=lambda sentence: None):
        yield own_settings.broker_url


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that sets settings by their environment variables."""

    def configure(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield configure
    settings.cache_clear()


@pytest.fixture
def data_dir(tmp_path: Path, broker_url: str, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty DATA_DIR for the test."""
    for name in ("STORAGE_URL", "SMTP_URL", "LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL", "ALLOWED_PRIVATE_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    configure(DATA_DIR=str(tmp_path), REDIS_URL=broker_url)
    return tmp_path


@pytest.fixture
def in_job(data_dir: Path) -> Callable[..., Any]:
    """Return a context manager for code inside a job: `with in_job("id", user="alice") as attempt:`."""

    @contextmanager
    def in_job(
        job_id: str = "job-1", *, user: str = "alice", checkpoint: dict[str, Any] | None = None
    ) -> Iterator[RecordedAttempt]:
        attempt = RecordedAttempt(CurrentJob(job_id, "some-job", user, 1, 0), checkpoint or {})
        begin(attempt)
        try:
            yield attempt
        finally:
            begin(None)

    return in_job


class Files:
    """Alice's files, in the file store that the jobs use."""

    samples = Path(__file__).parents[3] / "demo" / "samples"

    def upload(self, content: bytes, filename: str) -> File:
        return File(file_id=own_store().save("alice", filename, None, iter([content])).file_id)

    def sample(self, name: str) -> File:
        return self.upload((self.samples / name).read_bytes(), name)

    def content(self, saved: SavedFile) -> bytes:
        return b"".join(own_store().read(own_store().find(saved.file_id)))


@pytest.fixture
def files(data_dir: Path) -> Files:
    with connect(settings()) as connection:
        connection.hset("wh:user:alice", "user_id", "alice")
    return Files()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


@pytest.fixture
def language_model() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site
