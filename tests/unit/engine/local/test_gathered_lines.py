"""The reader of a process's output, which returns many lines at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread

import pytest

from jobs.engine.local.gathered_lines import CHUNK_BYTES, GatheredLines


class Pipe:
    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.lines = GatheredLines(os.fdopen(reader, "rb"))

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._writer, data) :]

    def end(self) -> None:
        os.close(self._writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.lines.close()


def test_all_lines_that_are_there_are_returned_at_once(pipe: Pipe) -> None:
    pipe.write(b"one\ntwo\n\nthree\n")
    assert pipe.lines.readline() == b"one\ntwo\n\nthree\n"
    pipe.end()
    assert pipe.lines.readline() == b""


def test_a_line_is_not_returned_before_its_end(pipe: Pipe) -> None:
    pipe.write(b"one\nbeginning")
    assert pipe.lines.readline() == b"one\n"
    pipe.write(b" and end\n")
    assert pipe.lines.readline() == b"beginning and end\n"
    pipe.end()


def test_the_last_line_needs_no_end(pipe: Pipe) -> None:
    pipe.write(b"one\nlast")
    pipe.end()
    assert [pipe.lines.readline() for _ in range(3)] == [b"one\n", b"last", b""]


def test_nothing_of_a_long_output_is_lost(pipe: Pipe) -> None:
    output = b"short\n" + b"long " * CHUNK_BYTES + b"\n" + b"many\n" * CHUNK_BYTES + b"last"

    def print_all() -> None:
        pipe.write(output)
        pipe.end()

    writer = Thread(target=print_all)
    writer.start()
    parts = list(iter(pipe.lines.readline, b""))
    writer.join()
    assert b"".join(parts) == output
    assert all(part.endswith(b"\n") for part in parts[:-1])
