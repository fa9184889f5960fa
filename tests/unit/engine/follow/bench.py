"""A broker in memory on which a test plays the worker, and followers in the test's own thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis

from jobs.engine.author.decorator import job
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.follow.follower import Follower
from jobs.engine.follow.inbox import Inbox
from jobs.engine.follow.message import Message
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis

TIMEOUT_SECONDS = 60.0


@job
def count(numbers: int = 3) -> int:
    return numbers


class Bench:
    """A broker in memory on which the test plays the worker."""

    def __init__(self, data_dir: Path) -> None:
        settings = Settings(data_dir=data_dir, secret_key="s" * 32)
        self.connection = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
        self.connection.hset("wh:user:alice", "email", "alice@example.com")
        self.client = Client(self.connection, settings, Catalogue([JobType.of(count)]))
        self.store = self.client.store
        self.stopping = False
        self.follower = Follower(self.client, stopping=lambda: self.stopping)

    def submit(self) -> Job:
        submission = Submission(self.client.catalogue["count"], {}, "alice")
        return self.client.submit(submission).job

    def start(self, execution: str = "e1") -> str:
        claim: Any = self.store.claim("w1", execution, ["default"])
        return str(claim.job_id)

    def report(self, job_id: str, percent: float, execution: str = "e1") -> None:
        assert self.store.report(job_id, execution, progress={"progress": percent})

    def finish(self, job_id: str, kind: str = "completed", execution: str = "e1", **outcome: Any) -> None:
        self.store.finish(job_id, execution, "w1", Outcome(OutcomeKind(kind), result="Mw==", **outcome))

    def messages_of(self, job_id: str, after: int | None = None, *, logs: bool = False) -> Following:
        inbox = Inbox()
        return Following(inbox, self.follower.follow_job(job_id, after, inbox, logs=logs, idle_seconds=0.05))

    def messages_of_alice(self, after: int | None = None) -> Following:
        inbox = Inbox()
        return Following(inbox, self.follower.follow_user("alice", after, inbox, idle_seconds=0.05))


class Following:
    """One follower, in the test's own thread."""

    def __init__(self, inbox: Inbox, messages: Iterator[Message | None]) -> None:
        self.inbox = inbox
        self._messages = messages

    def next(self) -> Message:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        for message in self._messages:
            if message is not None:
                return message
            assert time.monotonic() < deadline, "no message came"
        raise AssertionError("the follower has ended")

    def rest(self) -> list[Message]:
        return [message for message in self._messages if message is not None]

    def close(self) -> None:
        self._messages.close()  # type: ignore[attr-defined]  # it is a generator
