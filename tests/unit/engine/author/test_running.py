"""The attempt of this process: its job, its log, and the steps at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.engine import cancelled, current_job, log
from jobs.engine.author.running import LOG_LINE_CHARACTERS, Attempt, CurrentJob, at_end, begin, current_attempt, end

JOB = CurrentJob("job-1", "some-job", "alice", 2, 1)


class Recorder:
    """A channel that records."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    ask = send


@pytest.fixture
def channel() -> Iterator[Recorder]:
    channel = Recorder()
    begin(Attempt(JOB, channel, {}))
    yield channel
    begin(None)


def test_there_is_no_current_job_outside_a_job(capsys):
    log("hello")
    assert (current_job(), current_attempt(), cancelled()) == (None, None, False)
    assert capsys.readouterr().out == "hello\n"


def test_inside_a_job_its_facts_are_known(channel):
    assert current_job() == JOB


def test_a_log_line_has_its_level_and_is_cut(channel):
    log("x" * 10_000, level="warning")
    ((_at, level, message),) = channel.sent[0]["lines"]
    assert (level, message) == ("warning", "x" * LOG_LINE_CHARACTERS)


def test_a_request_to_cancel_is_seen(channel):
    attempt = current_attempt()
    assert attempt is not None
    attempt.request_cancel()
    assert cancelled()


def test_steps_left_for_the_end_run_once_and_the_newest_first():
    ran: list[str] = []

    def first() -> None:
        ran.append("first")

    def second() -> None:
        ran.append("second")

    for step in (first, second, first):
        at_end(step)
    end()
    end()

    assert ran == ["second", "first"]
