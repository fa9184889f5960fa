"""The port of an instance: a busy one is refused before anything starts."""

from __future__ import annotations

import socket

import pytest

from jobs.engine.errors import CannotStart
from jobs.engine.local.port import MAX_PORT, refuse_busy_port
from tests.loopback import free_port


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.local.port.TIMEOUT_SECONDS", 0.2)


def test_a_busy_port_is_refused_with_another_port_to_use() -> None:
    port = free_port()
    refusal = pytest.raises(CannotStart, match=rf"Port {port} can't be used.*make run PORT={port + 1}")
    with socket.create_server(("127.0.0.1", port)), refusal:
        refuse_busy_port(port)
    refuse_busy_port(port)


def test_above_the_last_port_a_lower_one_is_suggested() -> None:
    with socket.create_server(("127.0.0.1", MAX_PORT)), pytest.raises(CannotStart, match=rf"PORT={MAX_PORT - 1}"):
        refuse_busy_port(MAX_PORT)
