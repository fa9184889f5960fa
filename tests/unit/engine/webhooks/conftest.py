from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from tests.imitation import ImitatedRedis


@pytest.fixture
def connection() -> Any:
    """A broker in memory, with one user."""
    connection = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
    connection.hset("wh:user:alice", "email", "alice@example.com")
    return connection
