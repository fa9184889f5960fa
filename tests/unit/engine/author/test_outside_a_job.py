"""A job's function that is called directly just runs, as often as it is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.engine import checkpoint, job


@job
def count_rows(rows: int) -> list[int]:
    """Count from where an earlier attempt stopped."""
    done = []
    for row in range(checkpoint.get("row", 0), rows):
        done.append(row)
        checkpoint["row"] = row + 1
        checkpoint["last"] = done[-1]
    assert not done or checkpoint["last"] == rows - 1
    return done


@job
def count_twice(rows: int) -> list[list[int]]:
    """Call another job's function: it is all one call."""
    return [count_rows(rows), count_rows(rows)]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    checkpoint.clear()


def test_each_call_begins_with_an_empty_checkpoint() -> None:
    assert count_rows(3) == [0, 1, 2]
    assert count_rows(3) == [0, 1, 2]
    assert dict(checkpoint) == {}


def test_nested_calls_share_the_checkpoint() -> None:
    assert count_twice(2) == [[0, 1], []]
    assert count_twice(2) == [[0, 1], []]


def test_a_call_that_raised_leaves_no_checkpoint() -> None:
    with pytest.raises(TypeError):
        count_rows(None)  # type: ignore[arg-type]
    assert count_rows(1) == [0]


def test_a_call_begins_with_the_checkpoint_that_was_set_for_it() -> None:
    checkpoint["row"] = 2
    assert count_rows(3) == [2]
    assert dict(checkpoint) == {"row": 2}


def test_without_a_job_function_the_checkpoint_is_an_ordinary_mapping() -> None:
    checkpoint["seen"] = 1
    checkpoint["seen"] += 1
    assert dict(checkpoint) == {"seen": 2}
