"""The reports of a horse as its worker reads them, and what reaches the broker."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from jobs.engine.author.decorator import job
from jobs.engine.author.positions import Positions
from jobs.engine.author.reporting import Progress
from jobs.engine.author.running import LOG_LINE_CHARACTERS
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.history import LogLine
from jobs.engine.broker.store.worker_steps import KEEP_LOG_LINES
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.settings import Settings
from jobs.engine.worker.ending import EndingKind
from jobs.engine.worker.horse_reports import Reports
from tests.imitation import ImitatedRedis
from tests.unit.engine.worker.played_horse import PlayedHorse


@job
def count() -> int:
    """Count."""
    return 1


class Bench(PlayedHorse):
    """A claimed job whose horse is this test."""

    def __init__(self, client: Client) -> None:
        super().__init__(os.getpid())
        self.client = client
        self.job_id = client.submit(Submission(client.catalogue["count"], {}, "alice")).job.job_id
        claim = client.store.claim("w1", "e1", ["default"])
        assert isinstance(claim, Claim)
        self.reports = Reports(self.horse, claim, client.store)

    def close(self) -> None:
        self.reports.close()
        super().close()

    def sends(self, *messages: object) -> Reports:
        """Let the horse send, and its worker read."""
        for message in messages:
            data = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.channel.sendall(b"\n" + data + b"\n")
        assert self.reports.read_channel(everything=True)
        return self.reports

    def prints(self, data: bytes) -> None:
        os.write(self.stdout, data)
        assert self.reports.read_pipe(self.horse.stdout)

    def log(self) -> list[LogLine]:
        """Write what is new, and return the job's log."""
        assert self.reports.write()
        return self.client.store.logs(self.job_id, 0, 10_000)[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    connection = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
    connection.hset("wh:user:alice", "email", "alice@example.com")
    bench = Bench(Client(connection, Settings(data_dir=tmp_path), Catalogue([JobType.of(count)])))
    yield bench
    bench.close()


def test_the_last_progress_reaches_the_broker_and_is_reported_once(bench):
    reports = bench.sends({"progress": {"progress": 10.0}}, {"progress": {"progress": 20.0, "progress_message": "two"}})
    assert reports.has_news()
    assert reports.write()

    assert not reports.has_news()
    shown = bench.client.find(bench.job_id)
    assert (shown.progress, shown.progress_message) == (20.0, "two")
    assert not bench.sends({"progress": {"progress": 20.0, "progress_message": "two"}}).has_news()


def test_the_first_progress_is_reported_even_if_it_is_empty(bench):
    assert bench.sends({"progress": Progress().as_meta()}).has_news()


def test_the_ending_is_read_with_its_fields(bench):
    ending = bench.sends({"ending": {"kind": "failed", "error": "no", "retryable": True}}).ending
    assert (ending.kind, ending.error, ending.retryable, ending.fatal) == (EndingKind.FAILED, "no", True, False)


def test_only_the_first_ending_counts(bench):
    reports = bench.sends({"ending": {"kind": "completed"}}, {"ending": {"kind": "failed"}})
    assert reports.ending and reports.ending.kind == "completed"


@pytest.mark.parametrize(
    "message",
    [
        b"garbage{{{",
        b"\xff",
        [1],
        {"lines": 5},
        {"progress": 5},
        {"ending": 5},
        {"ending": {}},
        {"ending": {"kind": "what"}},
        {"ending": {"kind": "completed", "result": 5}},
        {"ending": {"kind": "completed", "extra": 1}},
        {"ending": {"kind": "later", "delay_seconds": -1}},
        b'{"ending": {"kind": "later", "delay_seconds": NaN}}',
        {"positions": "/no/such/file"},
        b"[" * 100_000,
    ],
)
def test_an_invalid_message_is_ignored_and_the_next_one_is_read(bench, caplog, message):
    reports = bench.sends(message, {"ending": {"kind": "completed"}})
    assert reports.ending and reports.ending.kind == "completed"
    assert "not a message" in caplog.text


def test_a_message_may_come_in_pieces(bench):
    whole = json.dumps({"ending": {"kind": "completed", "result": "x" * 500_000}}).encode()
    for start in range(0, len(whole), 50_000):
        bench.channel.sendall(whole[start : start + 50_000])
        assert bench.reports.read_channel(everything=True)
    assert bench.reports.ending is None

    assert bench.sends(b"").ending


def test_a_checkpoint_is_acknowledged_once_it_is_stored(bench):
    reports = bench.sends({"checkpoint": '{"row": 1}'})
    assert reports.checkpoint_awaited
    assert reports.write()

    assert json.loads(bench.channel.recv(100)) == {"written": True}
    assert json.loads(bench.client.store.connection.get(f"wh:checkpoint:{bench.job_id}")) == {"row": 1}
    assert not reports.checkpoint_awaited


def test_positions_of_loops_are_read_from_the_memory_that_the_horse_writes(bench):
    positions = Positions([])
    reports = bench.sends({"positions": positions.path})
    assert json.loads(bench.channel.recv(100)) == {"read": True}
    assert not reports.has_news()

    _number, finished = positions.begin_loop()
    finished.value = 7

    assert reports.has_news() and not reports.has_messages()
    assert reports.write()
    assert not reports.has_news()
    assert bench.client.store.connection.hget(f"rq:job:{bench.job_id}", "positions") == b"[7]"


def test_printed_lines_have_their_attempt_and_level(bench):
    bench.prints(b"one\ntw")
    bench.prints(b"o\n")
    os.write(bench.stderr, b"three")
    bench.reports.read_the_rest()

    lines = bench.log()
    assert [(line["message"], line["level"], line["attempt"]) for line in lines] == [
        ("one", "info", 1),
        ("two", "info", 1),
        ("three", "warning", 1),
    ]


def test_a_long_line_is_cut_and_a_line_without_an_end_is_not_kept_in_memory(bench):
    os.set_blocking(bench.stdout, False)
    for _ in range(4):
        bench.prints(b"x" * LOG_LINE_CHARACTERS)

    lines = bench.log()
    assert lines
    assert all(len(line["message"]) == LOG_LINE_CHARACTERS for line in lines)


def test_only_the_newest_lines_are_kept(bench):
    for start in range(0, 2 * KEEP_LOG_LINES, 1_000):
        bench.prints(b"".join(b"%d\n" % number for number in range(start, start + 1_000)))

    lines = bench.log()
    assert [lines[0]["message"], lines[-1]["message"]] == [str(KEEP_LOG_LINES), str(2 * KEEP_LOG_LINES - 1)]


def test_nothing_is_written_for_an_execution_that_no_longer_holds_its_job(bench):
    bench.client.store.connection.hset(f"rq:job:{bench.job_id}", "execution", "another")
    reports = bench.sends({"checkpoint": '{"row": 1}'})

    assert not reports.write()
    assert bench.client.store.connection.get(f"wh:checkpoint:{bench.job_id}") is None


def test_a_closed_channel_is_noticed(bench):
    bench.channel.shutdown(socket.SHUT_RDWR)
    assert not bench.reports.read_channel()
