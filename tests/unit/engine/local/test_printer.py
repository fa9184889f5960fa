"""The printer of an instance: what it prints, and that it never blocks or fails."""

from __future__ import annotations

import os

import pytest

from jobs.engine.local.printer import NonblockingPrinter


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
