"""The bar of `follow` moves, shows rate and time left, and fits the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobs.engine.client.job import Job
from jobs.engine.client.limited_by import LimitedBy
from jobs.engine.states import PendingReason, Status
from webapp.cli import following
from webapp.cli.bar import WIDTH, Bar
from webapp.cli.following import Plain, Terminal
from webapp.cli.text import cut, duration, table


@pytest.fixture
def running() -> Job:
    nothing: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    known: dict[str, Any] = {
        "job_id": "j",
        "job_type": "count",
        "status": Status.RUNNING,
        "progress": 0.0,
        "attempt": 1,
        "resumed": 0,
        "version": 2,
        "tags": [],
    }
    return Job(**(nothing | known))


def at(job: Job, current: float, total: float = 8, **fields: object) -> Job:
    progress = 100 * current / total
    return replace(job, progress=progress, progress_current=current, progress_total=total, **fields)  # type: ignore[arg-type]


def test_the_bar_grows_with_the_job(running: Job) -> None:
    bar = Bar()
    drawn = []
    for current in range(9):
        bar.show(at(running, current), now=float(current))
        drawn.append(bar.draw(120, now=float(current)).count("#"))
    assert drawn == [round(WIDTH * current / 8) for current in range(9)]


def test_the_rate_covers_the_last_seconds_and_the_eta_counts_down(running: Job) -> None:
    bar = Bar()
    bar.show(at(running, 0), now=100.0)
    bar.show(at(running, 4, eta_seconds=20.0), now=102.0)
    assert bar.words(now=102.0) == " 50 %  running  4 of 8  2.0/s  ETA 20 s"
    assert bar.words(now=107.0) == " 50 %  running  4 of 8  2.0/s  ETA 15 s"


def test_a_new_attempt_resets_the_rate(running: Job) -> None:
    bar = Bar()
    bar.show(at(running, 4), now=1.0)
    bar.show(at(running, 5), now=2.0)
    bar.show(at(running, 1, resumed=1), now=3.0)
    assert "/s" not in bar.words(now=3.0)


def test_the_bar_is_never_wider_than_the_terminal(running: Job) -> None:
    bar = Bar()
    bar.show(at(running, 4, progress_message="a message " * 30))
    assert all(len(bar.draw(columns)) <= columns for columns in (10, 40, 80, 200))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (PendingReason.QUEUED, "queued, position 3"),
        (PendingReason.WAITING, "waiting for other jobs"),
        (PendingReason.LIMITED, "waiting for a free slot"),
        (PendingReason.RETRYING, "retrying at -"),
    ],
)
def test_a_waiting_job_shows_the_reason(running: Job, reason: PendingReason, words: str) -> None:
    bar = Bar()
    bar.show(replace(running, status=Status.PENDING, pending_reason=reason, queue_position=3))
    assert bar.words() == f"  0 %  {words}"


def test_a_limited_job_shows_its_limit_and_its_key(running: Job) -> None:
    bar = Bar()
    limit: LimitedBy = {"limit": "rate=60/minute", "key": "customer_id=17", "free_at": None}
    limited = replace(running, status=Status.PENDING, pending_reason=PendingReason.LIMITED)
    bar.show(replace(limited, limited_by=limit))
    assert bar.words() == "  0 %  waiting for the limit rate=60/minute of customer_id=17"


def test_a_terminal_shows_one_line_that_is_redrawn(running: Job, capsys: pytest.CaptureFixture[str]) -> None:
    display = Terminal()
    display.job(at(running, 2))
    display.job(at(running, 4))
    display.lines([{"at": "2030-01-31T12:00:00Z", "level": "info", "message": "hello"}])
    display.close()
    first, second, log, again = capsys.readouterr().out.split("\r\x1b[2K")[1:]
    assert first.count("#") < second.count("#") == again.count("#")
    assert log == "2030-01-31T12:00:00Z  info     hello\n"


def test_a_file_receives_few_plain_lines(
    running: Job, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Plain()
    for current in range(9):
        display.job(at(running, current))
    display.job(replace(at(running, 8), status=Status.COMPLETED))
    assert capsys.readouterr().out == "  0 %  running  0 of 8\n100 %  completed  8 of 8\n"
    monkeypatch.setattr(following, "LINE_SECONDS", 0.0)
    display.job(at(running, 1))
    display.job(at(running, 2))
    assert capsys.readouterr().out.count("\n") == 2


def test_seconds_are_readable() -> None:
    assert [duration(seconds) for seconds in (0.44, 12, 185, 7385)] == ["0.4 s", "12 s", "3:05", "2:03:05"]


def test_a_table_aligns_its_columns_and_keeps_each_row_on_a_line() -> None:
    assert table(("A", "B"), [("x", "1\n2"), ("long", "\x1b")]) == "A     B\nx     1 2\nlong  \\x1b"
    assert cut("abcdef", 4) == "abc…"
