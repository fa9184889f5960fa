"""Accounts in an imitated broker."""

from __future__ import annotations

from pathlib import Path

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def connection(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return ImitatedRedis(server=server, protocol=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key="s" * 32, rate_limit="5/minute")


@pytest.fixture
def accounts(connection: fakeredis.FakeRedis, settings: Settings) -> Accounts:
    return Accounts(connection, settings)


@pytest.fixture
def elsewhere(connection: fakeredis.FakeRedis, settings: Settings) -> Accounts:
    """The same accounts in another process: nothing is cached there."""
    return Accounts(connection, settings)
