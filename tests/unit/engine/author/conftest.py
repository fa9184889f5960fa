from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.engine.settings import settings
from tests.file_storage import broker_url, in_a_job, s3_address, storage, store
from tests.unit.engine.job_packages import write_package

__all__ = ["allow", "broker_url", "in_a_job", "s3_address", "storage", "store", "write_package"]


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    def allow(*hosts: str) -> None:
        monkeypatch.setenv("ALLOWED_PRIVATE_HOSTS", ",".join(hosts))
        settings.cache_clear()

    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    allow()
    yield allow
    settings.cache_clear()
