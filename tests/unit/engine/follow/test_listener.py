"""The listener: when a channel is nudged, and what happens after an error."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from jobs.engine.errors import BrokerUnavailable
from jobs.engine.follow.listener import Listener
from tests.imitation import ImitatedRedis
from tests.waiting import eventually


class Ears:
    """What a listener has called."""

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer()
        self.connection = ImitatedRedis(server=self.server, protocol=2)
        self.nudges: list[str] = []
        self.beats = 0
        self.reads = 0
        self.errors: list[Exception] = []
        self.listener = Listener(self.connection, self._nudged, self._read_again, self._beat)

    def _nudged(self, channels: set[str]) -> None:
        if self.errors:
            raise self.errors.pop()
        self.nudges += sorted(channels)

    def _read_again(self) -> None:
        self.reads += 1

    def _beat(self) -> None:
        self.beats += 1

    def heard(self, channel: str, times: int = 1) -> bool:
        """Wait until the channel was nudged so many times."""
        return bool(eventually(lambda: self.nudges.count(channel) >= times, f"{times} nudges of {channel}"))


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ears]:
    monkeypatch.setattr("jobs.engine.follow.listener.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("jobs.engine.follow.listener.RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr("jobs.engine.follow.listener.LINGER_SECONDS", 0.2)
    ears = Ears()
    yield ears
    for channel in ("a", "b"):
        ears.listener.leave(channel)


def test_a_channel_is_nudged_when_it_is_joined_and_at_each_message(ears: Ears) -> None:
    ears.listener.join("a")
    assert ears.heard("a")
    ears.connection.publish("a", "x")
    assert ears.heard("a", 2)


def test_a_channel_that_is_joined_again_is_nudged_again(ears: Ears) -> None:
    for times in (1, 2):
        ears.listener.join("a")
        assert ears.heard("a", times)
    assert "b" not in ears.nudges


def test_a_channel_that_was_left_is_not_nudged(ears: Ears) -> None:
    ears.listener.join("a")
    ears.listener.join("b")
    assert ears.heard("b")
    ears.listener.leave("a")
    eventually(lambda: dict(ears.connection.pubsub_numsub("a"))[b"a"] == 0, "it is unsubscribed")
    before = ears.nudges.count("a")
    ears.connection.publish("a", "x")
    ears.connection.publish("b", "x")
    assert ears.heard("b", 2)
    assert ears.nudges.count("a") == before


def test_the_listener_beats_and_reads_again_without_a_nudge(ears: Ears) -> None:
    ears.listener.join("a")
    assert eventually(lambda: ears.beats >= 2 and ears.reads >= 2, "it beats")


@pytest.mark.parametrize("error", [BrokerUnavailable(), RuntimeError("a bug")])
def test_after_an_error_the_listener_restarts_and_nudges_every_channel(ears: Ears, error: Exception) -> None:
    ears.errors.append(error)
    ears.listener.join("a")
    assert ears.heard("a")
    ears.connection.publish("a", "x")
    assert ears.heard("a", 2)


def test_the_listener_beats_while_the_broker_is_unreachable(ears: Ears) -> None:
    ears.listener.join("a")
    assert ears.heard("a")
    ears.server.connected = False
    before = ears.beats
    eventually(lambda: ears.beats >= before + 2, "it beats")
    ears.server.connected = True
    assert ears.heard("a", 2)


def test_the_listener_starts_again_when_a_channel_is_joined_after_it_stopped(ears: Ears) -> None:
    ears.listener.join("a")
    assert ears.heard("a")
    ears.listener.leave("a")
    eventually(lambda: dict(ears.connection.pubsub_numsub("wh:idle"))[b"wh:idle"] == 0, "its thread has ended")
    ears.listener.join("b")
    assert ears.heard("b")
