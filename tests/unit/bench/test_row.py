"""Contenders of a row take turns, and one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bench.row import Contender, Row, measure
from bench.samples import Ratio, verdicts
from bench.workbench import NotMeasured

NO_BENCH: Any = None


def row_of(contenders: Mapping[str, Contender], most_rounds: int | None = None) -> Row:
    goal = Ratio("ours", "theirs", "against theirs", at_least=1.0)
    return Row("row", "a row", "jobs/s", (goal,), lambda _bench, _stack: contenders, most_rounds=most_rounds)


def counting(calls: list[str], name: str, fails_at: int | None = None) -> Callable[[], float]:
    def contender() -> float:
        calls.append(name)
        if calls.count(name) == fails_at:
            raise NotMeasured("the worker\nended")
        return float(calls.count(name))

    return contender


def test_contenders_take_turns_in_an_order_that_rotates() -> None:
    calls: list[str] = []
    result = measure(row_of({"ours": counting(calls, "ours"), "theirs": counting(calls, "theirs")}), NO_BENCH, 3)
    assert calls == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert result.samples == {"ours": [1.0, 2.0, 3.0], "theirs": [1.0, 2.0, 3.0]}


def test_a_contender_that_fails_is_left_out_and_the_others_continue() -> None:
    calls: list[str] = []
    contenders = {"ours": counting(calls, "ours"), "theirs": counting(calls, "theirs", fails_at=2)}
    result = measure(row_of(contenders), NO_BENCH, 4)
    assert result.samples == {"ours": [1.0, 2.0, 3.0, 4.0], "theirs": [1.0]}
    assert result.failed == {"theirs": "NotMeasured: the worker ended"}
    assert result.troubles == []
    assert verdicts(result)[0].spread.median == 1.0


def test_all_contenders_may_fail() -> None:
    calls: list[str] = []
    result = measure(row_of({"ours": counting(calls, "ours", fails_at=1)}), NO_BENCH, 3)
    assert result.samples == {}
    assert list(result.failed) == ["ours"]


def test_the_samples_are_kept_if_the_row_can_not_be_ended_in_order() -> None:
    @contextmanager
    def server() -> Any:
        yield
        raise NotMeasured("it ended unexpectedly")

    def prepare(_bench: Any, stack: ExitStack) -> dict[str, Contender]:
        stack.enter_context(server())
        return {"ours": lambda: 7.0}

    result = measure(Row("row", "a row", "jobs/s", (), prepare), NO_BENCH, 2)
    assert result.samples == {"ours": [7.0, 7.0]}
    assert result.troubles == ["NotMeasured: it ended unexpectedly"]


def test_the_parts_of_a_sample_are_kept_apart() -> None:
    result = measure(row_of({"ours": lambda: {"idle": 100.0, "busy": 150.0}}), NO_BENCH, 2)
    assert result.samples == {"ours, idle": [100.0, 100.0], "ours, busy": [150.0, 150.0]}


@pytest.mark.parametrize(("asked", "taken"), [(5, 2), (1, 1)])
def test_a_slow_row_has_few_rounds(asked: int, taken: int) -> None:
    result = measure(row_of({"ours": lambda: 1.0}, most_rounds=2), NO_BENCH, asked)
    assert len(result.samples["ours"]) == taken


def test_an_error_that_is_a_defect_of_the_benchmark_ends_the_run() -> None:
    def contender() -> float:
        raise TypeError

    with pytest.raises(TypeError):
        measure(row_of({"ours": contender}), NO_BENCH, 1)
