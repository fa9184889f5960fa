"""The figures: how the reply of metrics.lua is read."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.operate.figures import INFINITY, Figures, Histogram, read_figures

COUNTS = ("jobs", "retried", "resumed", "failed", "lost", "run", "wait", "http", "http_seconds")


def read(**fields: list[bytes]) -> Figures:
    """Read a reply with these counts, each given as names and values in turn."""
    counts = [[name.encode(), fields.get(name, [])] for name in COUNTS]
    queue = [b"default", 3, b"1.500000", 1, b"0.000000", 2, 4, 1, 0]
    return read_figures([[queue], [[b"busy", 2]], counts, [b"1", b"5"], 6, 7], {}, ["0.1"])


def test_a_histogram_adds_up_its_counts() -> None:
    histogram = Histogram((("0.1", 2), ("1", 3), (INFINITY, 1)), 4.5)
    assert histogram.cumulative == [("0.1", 2), ("1", 5), ("+Inf", 6)]


def test_the_state_of_queues_and_workers_is_read() -> None:
    figures = read()
    (queue,) = figures.queues
    assert (queue.name, queue.depth, queue.oldest_wait_seconds, queue.running) == ("default", 3, 1.5, 4)
    assert (queue.served, queue.paused) == (True, False)
    assert (figures.workers, figures.expired_leases, figures.outbox) == ({"busy": 2}, 6, 7)


def test_counts_are_read_by_their_labels() -> None:
    assert read(http=[b"GET|/jobs|200", b"5"]).http == {("GET", "/jobs", "200"): 5}


def test_a_histogram_has_each_bound_and_its_sum() -> None:
    figures = read(run=[b"noop|5", b"2", b"noop|inf", b"1", b"noop|sum", b"12.5"])
    assert figures.run == {("noop",): Histogram((("1", 0), ("5", 2), (INFINITY, 1)), 12.5)}


@pytest.mark.parametrize("label", [b"noop", b"a|b|c", b"", b"\xff"])
def test_counts_with_other_labels_are_left_out(label: bytes) -> None:
    fields: list[Any] = [label, b"1", b"noop|completed", b"2"]
    assert read(jobs=fields).jobs == {("noop", "completed"): 2}


def test_a_malformed_value_counts_as_zero() -> None:
    figures = read(jobs=[b"noop|failed", b"many"], run=[b"noop|1", b"x", b"noop|sum", b"y"])
    assert figures.jobs == {("noop", "failed"): 0}
    assert figures.run["noop",] == Histogram((("1", 0), ("5", 0), (INFINITY, 0)), 0.0)
