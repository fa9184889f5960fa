"""The overview drains workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.webapp.door import Browser, Door

NAME = "host-7-abc"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    door = Door(tmp_path)
    fields: Any = {"state": "idle", "hostname": "host", "pid": "7", "queues": "high,low", "memory": "1048576"}
    door.connection.hset(f"rq:worker:{NAME}", mapping=fields)
    door.connection.sadd("rq:workers", f"rq:worker:{NAME}")
    return door


def press(browser: Browser, name: str, button: str) -> str:
    form = {"csrf_token": browser.csrf_token}
    answer = browser.client.post(f"/overview/workers/{name}/{button}", data=form, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def test_a_worker_is_drained_from_the_overview(door: Door) -> None:
    admin = door.browser("admin")
    assert "high, low" in admin.client.get("/overview").text
    page = press(admin, NAME, "drain")
    assert "takes no other" in page
    assert ">Undo</button>" in page
    assert door.connection.hexists(f"rq:worker:{NAME}", "draining")
    assert "takes jobs again" in press(admin, NAME, "undo-drain")
    assert not door.connection.hexists(f"rq:worker:{NAME}", "draining")


def test_a_worker_that_has_ended_is_reported(door: Door) -> None:
    assert "may have ended" in press(door.browser("admin"), "gone", "drain")


def test_only_administrators_drain(door: Door) -> None:
    alice = door.browser("alice")
    answer = alice.client.post(f"/overview/workers/{NAME}/drain", data={"csrf_token": alice.csrf_token})
    assert answer.status_code == 403
    assert not door.connection.hexists(f"rq:worker:{NAME}", "draining")
