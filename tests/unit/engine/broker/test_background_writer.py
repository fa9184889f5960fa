"""Items that are written in the background, with and without an outage."""

from __future__ import annotations

import logging

import pytest

from jobs.engine.broker.background_writer import MAX_WAITING, BackgroundWriter
from tests.waiting import eventually


class Target:
    """Keeps what is written, unless it is out of service."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.out_of_service = False

    def write(self, items: list[int]) -> None:
        if self.out_of_service:
            raise ConnectionError("refused")
        self.written += items


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def writer(target: Target) -> BackgroundWriter[int]:
    return BackgroundWriter("test", target.write)


def test_items_are_written_in_order_without_a_flush(writer: BackgroundWriter[int], target: Target) -> None:
    for number in range(3):
        writer.add(number)
    eventually(lambda: target.written == [0, 1, 2], "the items are written")
    writer.add(3)
    assert eventually(lambda: target.written == [0, 1, 2, 3], "an item is written after the thread has ended")


def test_a_flush_writes_at_once(writer: BackgroundWriter[int], target: Target) -> None:
    writer.add(1)
    writer.flush()
    assert target.written == [1]


def test_an_outage_keeps_the_items_and_is_logged_once(
    writer: BackgroundWriter[int], target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    target.out_of_service = True
    with caplog.at_level(logging.WARNING, "workhorse"):
        writer.add(1)
        for _ in range(3):
            writer.flush()
        target.out_of_service = False
        eventually(lambda: target.written == [1], "the item is written")

    assert [record.getMessage() for record in caplog.records] == [
        "test: entries can't be written, and are kept until they can: ConnectionError('refused')",
        "test: the entries that were kept (1) are written now",
    ]


def test_a_long_outage_keeps_the_newest_items(writer: BackgroundWriter[int], target: Target) -> None:
    target.out_of_service = True
    for number in range(MAX_WAITING + 1):
        writer.add(number)
    target.out_of_service = False
    writer.flush()
    assert target.written == list(range(1, MAX_WAITING + 1))
