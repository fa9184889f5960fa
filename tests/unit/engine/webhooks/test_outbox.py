"""The outbox: which deliveries an entry becomes, and what happens to an entry that can't be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.author.decorator import job
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.settings import Settings
from jobs.engine.webhooks.outbox import MAX_VALUE_BYTES, Outbox
from jobs.engine.webhooks.subscriptions import Subscriptions

URL = "https://example.com/hook"


@job
def noop(text: str = "") -> None:
    """Do nothing."""


@job
def deliver_webhook(url: str, payload: dict[str, Any], webhook_id: str | None = None) -> None:
    """Stand in for the job that delivers."""


class World:
    def __init__(self, connection: Any, data_dir: Path, *functions: Any) -> None:
        self.connection = connection
        self.client = Client(connection, Settings(data_dir=data_dir), Catalogue(map(JobType.of, functions)))
        self.outbox = Outbox(self.client)

    def submit(self, text: str = "", **options: Any) -> Job:
        submission = Submission(self.client.catalogue["noop"], {"text": text}, "alice", **options)
        return self.client.submit(submission).job

    def deliveries(self) -> list[dict[str, Any]]:
        """Empty the outbox, and return the parameters of the deliveries."""
        self.outbox.empty()
        assert self.connection.llen("wh:outbox") == 0
        jobs = self.client.page("", job_type="deliver-webhook").jobs
        return [each.params for each in reversed(jobs)]


@pytest.fixture
def world(connection: Any, tmp_path: Path) -> World:
    return World(connection, tmp_path, noop, deliver_webhook)


def test_an_event_is_delivered_to_each_subscription_that_wants_it(world: World) -> None:
    subscriptions = Subscriptions(world.connection)
    wanted = subscriptions.subscribe("alice", URL, ["job_queued"])
    subscriptions.subscribe("alice", "https://example.com/other", ["job_failed"])
    submitted = world.submit("hello")
    (delivery,) = world.deliveries()
    assert (delivery["url"], delivery["webhook_id"]) == (URL, wanted.id)
    assert delivery["payload"]["type"] == "job_queued"
    assert delivery["payload"]["data"]["job_id"] == submitted.job_id
    assert delivery["payload"]["data"]["params"] == {"text": "hello"}


def test_the_url_of_a_job_gets_its_terminal_status_only(world: World) -> None:
    submitted = world.submit(webhook_url=URL)
    assert world.deliveries() == []
    world.client.cancel(submitted.job_id)
    (delivery,) = world.deliveries()
    assert (delivery["url"], delivery["payload"]["data"]["status"]) == (URL, "cancelled")


def test_two_hosts_make_one_delivery_of_an_event(world: World) -> None:
    Subscriptions(world.connection).subscribe("alice", URL, ["job_queued"])
    world.submit()
    (entry,) = world.connection.lrange("wh:outbox", 0, -1)
    world.outbox.empty()
    world.connection.rpush("wh:outbox", entry)  # as another host has read it
    assert len(world.deliveries()) == 1


def test_a_large_value_is_left_out_and_named(world: World) -> None:
    Subscriptions(world.connection).subscribe("alice", URL, ["job_queued"])
    world.submit("x" * MAX_VALUE_BYTES)
    (delivery,) = world.deliveries()
    data = delivery["payload"]["data"]
    assert data["params"] is None and data["omitted"] == ["params"]


def test_without_the_delivery_job_the_entry_is_dropped_with_a_warning(
    connection: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(connection, tmp_path, noop)
    Subscriptions(connection).subscribe("alice", URL, ["job_queued"])
    world.submit()
    world.outbox.empty()
    assert connection.llen("wh:outbox") == 0
    assert "job type deliver-webhook is missing" in caplog.text


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"x",
        b"x 5",
        b"x []",
        b"x null",
        b"group: {}",
        b"group:x 5",
        b"\xff {}",
        b"x " + b"[" * 100_000,
        b'JOB {"type": "job_queued"}',
        b"JOB 5",
    ],
)
def test_a_malformed_entry_does_not_block_those_after_it(world: World, entry: bytes) -> None:
    Subscriptions(world.connection).subscribe("alice", URL, ["job_completed", "job_queued"])
    job_id = world.submit().job_id
    world.connection.lpush("wh:outbox", entry.replace(b"JOB", job_id.encode()))
    assert len(world.deliveries()) == 1


def test_an_entry_of_a_malformed_job_does_not_block_those_after_it(world: World) -> None:
    Subscriptions(world.connection).subscribe("alice", URL, ["job_queued"])
    world.connection.set("rq:job:malformed", "not a hash")
    event = {"type": "job_queued", "status": "pending", "at": "2026-11-25T09:00:00.000000Z"}
    world.connection.lpush("wh:outbox", f"malformed {json.dumps(event)}")
    world.submit()
    assert len(world.deliveries()) == 1
