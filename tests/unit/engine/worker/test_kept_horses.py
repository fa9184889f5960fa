"""The horses that a worker keeps. Each is played by this test, at the other end of its channel."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.engine.worker import kept_horses
from jobs.engine.worker.horse_handle import Horse
from jobs.engine.worker.kept_horses import KeptHorses
from jobs.engine.worker.verdict import Verdict
from tests.unit.engine.worker.played_horse import PlayedHorse


@dataclass
class Zygote:
    """Notes which horses it was given back."""

    released: list[Horse] = field(default_factory=list)

    def release(self, horse: Horse) -> None:
        self.released.append(horse)


class Played(PlayedHorse):
    """A horse that has served two attempts."""

    def __init__(self) -> None:
        super().__init__(4711, jobs=2)

    def send(self, message: Any) -> None:
        self.channel.sendall(b"\n" + json.dumps(message).encode() + b"\n")

    def judge(self, reason: str = "", carried_bytes: int = 0) -> None:
        self.send({"verdict": Verdict(reason, carried_bytes).as_message()})


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


@pytest.fixture
def zygote() -> Any:
    return Zygote()


@pytest.fixture
def kept(played: Played, zygote: Any, caplog: pytest.LogCaptureFixture) -> KeptHorses:
    caplog.set_level(logging.INFO, "workhorse")
    kept = KeptHorses()
    kept.keep("greet", played.horse, zygote)
    return kept


def test_a_horse_without_a_fault_is_taken_once(kept, played, zygote):
    played.judge(carried_bytes=4096)

    assert kept.take("greet") is played.horse
    assert (played.horse.carried_bytes, played.horse.idle, played.horse.verdict) == (4096, False, None)
    assert kept.take("greet") is None
    assert zygote.released == []


def test_a_horse_serves_one_job_type(kept, played):
    played.judge()
    assert kept.take("part") is None
    assert kept.take("greet") is played.horse


def test_a_horse_that_is_not_as_it_was_is_retired_and_the_log_says_why(kept, played, zygote, caplog):
    played.judge("it changed the umask")

    assert kept.take("greet") is None
    assert zygote.released == [played.horse]
    assert caplog.messages == ["retired work horse 4711 of greet after 2 attempts: it changed the umask"]


def test_a_horse_that_gives_no_verdict_in_time_is_retired(kept, zygote, caplog, monkeypatch):
    monkeypatch.setattr(kept_horses, "VERDICT_SECONDS", 0.01)

    assert kept.take("greet") is None
    assert len(zygote.released) == 1
    assert "its check took longer" in caplog.text


def test_a_horse_that_has_died_is_retired(kept, played, zygote, caplog):
    played.channel.close()

    assert kept.take("greet") is None
    assert zygote.released == [played.horse]
    assert "its process has ended" in caplog.text


def test_late_reports_and_late_output_are_dropped(kept, played):
    messages: list[Any] = [{"lines": [[0.0, "info", "late"]]}, {"progress": {}}, {"verdict": 5}, [1], "text"]
    for late in messages:
        played.send(late)
    played.channel.sendall(b"no message\n")
    os.write(played.stdout, b"late" * 10_000)
    os.write(played.stderr, b"late")
    played.judge()

    assert kept.take("greet") is played.horse
    for pipe in (played.horse.stdout, played.horse.stderr):
        with pytest.raises(BlockingIOError):
            os.read(pipe, 1)


def test_horses_that_are_unfit_are_found_without_a_job(kept, played, zygote, caplog):
    kept.look_after()
    assert zygote.released == []

    played.judge("it left a thread (sleeper)")
    kept.look_after()

    assert zygote.released == [played.horse]
    assert "it left a thread (sleeper)" in caplog.text


def test_a_horse_that_was_killed_while_it_waited_is_found_without_a_job(kept, played, zygote):
    played.judge()
    played.horse.status = 9

    kept.look_after()

    assert zygote.released == [played.horse]


def test_an_idle_horse_is_retired(kept, played, zygote, monkeypatch, caplog):
    played.judge()
    kept.look_after()
    assert zygote.released == []

    monkeypatch.setattr(kept_horses, "IDLE_SECONDS", -1.0)
    kept.look_after()

    assert zygote.released == [played.horse]
    assert "it had no job" in caplog.text


def test_the_horse_that_was_kept_first_gives_way(kept, played, zygote):
    others = [Played(), Played()]
    for name, other in zip(("part", "meet"), others, strict=True):
        other.judge()
        kept.keep(name, other.horse, zygote)

    assert zygote.released == [played.horse]
    assert [kept.take(name) for name in ("greet", "part", "meet")] == [None, others[0].horse, others[1].horse]
    for other in others:
        other.close()


def test_horses_are_retired_with_their_zygote(kept, played, zygote):
    kept.drop(Zygote())
    assert zygote.released == []

    kept.drop(zygote)
    assert zygote.released == [played.horse]
