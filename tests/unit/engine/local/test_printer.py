"""The printer of an instance: what it prints, and that it never blocks or fails."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from jobs.engine.local.printer import MAX_WAITING, NonblockingPrinter
from tests.waiting import eventually


def test_lines_are_printed_before_and_after_the_thread_starts(capfd: pytest.CaptureFixture[str]) -> None:
    with NonblockingPrinter() as printer:
        printer.say("first")
        printer.start()
        printer.say("second")
    assert capfd.readouterr().out == "first\nsecond\n"


def test_printing_to_a_closed_pipe_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        with NonblockingPrinter() as printer:
            printer.start()
            printer.say("nobody reads this")
        assert not output.closed


def test_what_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    seen = bytearray()

    def lines() -> int:
        with suppress(BlockingIOError):
            seen.extend(os.read(reader, 65_536))
        return seen.count(b"\n")

    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        with NonblockingPrinter() as printer:
            printer.start()
            for _ in range(2_000):
                printer.say("x" * 1_023)
            eventually(lambda: lines() >= MAX_WAITING, "what was kept is printed")
            printer.say("the end")
            eventually(lambda: lines() and seen.endswith(b"the end\n"), "it prints again")
    os.close(reader)
    # A pipe holds 64 KiB.
    assert seen.count(b"\n") <= MAX_WAITING + 70
