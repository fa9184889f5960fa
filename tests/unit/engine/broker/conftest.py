"""A real broker on a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobs.engine.broker.connection import connect
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", redis_url=None)


@pytest.fixture
def connection(settings: Settings) -> Iterator[redis.Redis]:
    with EmbeddedBroker(settings, say=lambda sentence: None) as broker, connect(broker.settings) as connection:
        yield connection
