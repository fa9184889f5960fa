"""The checkpoint of a running job: saved at each assignment, and only JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.engine import checkpoint
from jobs.engine.author.running import Attempt, CurrentJob, begin


class Broken(Exception):
    """The worker could not write."""


class Recorder:
    """A channel that records what it is asked to write, or fails."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fails = False

    def send(self, message: dict[str, Any]) -> None:
        self.asked.append(message)

    def ask(self, message: dict[str, Any]) -> None:
        if self.fails:
            raise Broken
        self.send(message)


@pytest.fixture
def channel() -> Iterator[Recorder]:
    channel = Recorder()
    begin(Attempt(CurrentJob("job-1", "some-job", "alice", 1, 1), channel, {"row": 3}))
    yield channel
    begin(None)


def test_a_resumed_job_begins_with_what_was_saved(channel):
    assert (checkpoint["row"], len(checkpoint), dict(checkpoint)) == (3, 1, {"row": 3})


def test_each_assignment_writes_the_whole_mapping(channel):
    checkpoint["column"] = 5
    del checkpoint["row"]

    assert [json.loads(message["checkpoint"]) for message in channel.asked] == [{"row": 3, "column": 5}, {"column": 5}]


def test_a_value_that_was_not_written_is_not_kept(channel):
    channel.fails = True
    with pytest.raises(Broken):
        checkpoint["row"] = 4
    assert checkpoint["row"] == 3


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"bytes"])
def test_a_value_that_is_not_json_is_refused(channel, value):
    with pytest.raises(TypeError, match="JSON values"):
        checkpoint["state"] = value
    assert channel.asked == []


def test_a_name_that_is_not_a_string_is_refused(channel):
    with pytest.raises(TypeError, match="names must be strings"):
        checkpoint[1] = 2  # type: ignore[index]
    assert channel.asked == []
