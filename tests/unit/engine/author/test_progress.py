"""Progress and track: what is reported, and when a loop stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from jobs.engine import progress, track
from jobs.engine.author.reporting import MESSAGE_CHARACTERS, Progress, Reporting
from jobs.engine.author.running import Attempt, Cancelled, CurrentJob, begin
from tests.waiting import eventually


class Recorder:
    """A channel that records."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    ask = send


@pytest.fixture
def channel() -> Recorder:
    return Recorder()


@pytest.fixture
def attempt(channel: Recorder) -> Iterator[Attempt]:
    attempt = Attempt(CurrentJob("job-1", "some-job", "alice", 1, 0), channel, {})
    begin(attempt)
    yield attempt
    begin(None)


def shown(attempt: Attempt) -> Progress:
    return attempt.reporting.progress()


def test_outside_a_job_nothing_is_reported_and_a_loop_just_runs():
    progress(50, "halfway")
    assert list(track([1, 2, 3], "Counting", resume=True)) == [1, 2, 3]


def test_percent_is_computed_from_current_and_total(attempt):
    progress(current=1, total=8, message="one of eight")
    assert shown(attempt) == Progress(12.5, "one of eight", 1, 8, None)


def test_percent_never_falls_and_never_passes_100(attempt):
    for percent, expected in ((40, 40), (30, 40), (250, 100)):
        progress(percent)
        assert shown(attempt).percent == expected


def test_fields_that_are_left_out_keep_their_values(attempt):
    progress(10, "one", current=1, total=10)
    progress(20)
    assert shown(attempt) == Progress(20.0, "one", 1, 10, None)


def test_a_long_message_is_cut(attempt):
    progress(1, "x" * 10_000)
    assert shown(attempt).message == "x" * MESSAGE_CHARACTERS


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400)])
def test_a_number_that_is_not_finite_is_refused_by_name(value):
    with pytest.raises(ValueError, match="current="):
        progress(current=value, total=1)


def test_numbers_of_other_types_become_plain_ones(attempt):
    progress(Decimal("12.5"))  # type: ignore[arg-type]  # float() takes it
    assert type(shown(attempt).percent) is float


def test_a_cancelled_job_stops_at_its_next_report(attempt):
    attempt.request_cancel()
    with pytest.raises(Cancelled):
        progress(1)


def test_a_cancelled_loop_stops_after_the_current_item(attempt):
    loop = track(range(10))
    assert next(loop) == 0
    attempt.request_cancel()
    with pytest.raises(Cancelled):
        next(loop)


def test_a_loop_reports_its_total_and_its_end(attempt):
    assert list(track("abcd", "Reading")) == list("abcd")
    assert shown(attempt) == Progress(100.0, "Reading", 4, 4, 0.0)


def test_a_loop_of_unknown_length_reports_only_its_count(attempt):
    assert list(track(iter("ab"))) == ["a", "b"]
    assert (shown(attempt).current, shown(attempt).percent) == (2, 0.0)


def test_a_resumed_loop_continues_after_the_last_finished_item(channel):
    first = Attempt(CurrentJob("job-1", "some-job", "alice", 1, 0), channel, {})
    begin(first)
    loop = track(range(5), resume=True)
    assert [next(loop), next(loop), next(loop)] == [0, 1, 2]
    begin(Attempt(CurrentJob("job-1", "some-job", "alice", 1, 1), channel, {}, positions=[2]))
    assert list(track(range(5), resume=True)) == [2, 3, 4]
    begin(None)


def test_only_changes_are_sent_and_the_last_value_always_is(attempt, channel):
    progress(10)
    attempt.reporting.flush()
    attempt.reporting.flush()
    progress(20)
    progress(30)
    attempt.reporting.flush()

    sent = [message["progress"]["progress"] for message in channel.sent]
    assert sent[-1] == 30
    assert len(sent) == len(set(sent))


def test_a_report_is_sent_without_a_flush(channel):
    reporting = Reporting(channel, Progress())
    reporting.update(10, None, None, None, None)
    eventually(lambda: channel.sent, "the reporter sends it")
    assert channel.sent[0]["progress"]["progress"] == 10


def test_a_quiet_attempt_starts_no_thread(channel):
    before = set(threading.enumerate())
    Attempt(CurrentJob("job-1", "some-job", "alice", 1, 0), channel, {}).reporting.flush()
    assert not set(threading.enumerate()) - before
    assert channel.sent == []


@pytest.mark.parametrize(
    "meta",
    [{}, {"progress": "much"}, {"progress": None}, {"progress": 10**400}, {"progress": float("nan")}, {"progress": []}],
)
def test_a_meta_that_is_not_ours_counts_as_no_progress(meta):
    assert Progress.from_meta(meta) == Progress()


def test_progress_survives_the_way_through_meta():
    whole = Progress(12.5, "one of eight", 1, 8, 3.2)
    assert Progress.from_meta(whole.as_meta()) == whole
