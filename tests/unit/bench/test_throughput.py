"""The rate of a worker is taken between results, not between looks at them."""

from __future__ import annotations

import pytest

from bench.throughput import Look, rate
from bench.workbench import NotMeasured


def test_a_rate_is_taken_from_the_first_new_result_to_the_last() -> None:
    looks = [Look(0.0, 10), Look(1.0, 10), Look(2.0, 11), Look(3.0, 11), Look(6.0, 19), Look(9.0, 19)]
    assert rate(looks) == 8 / 4.0


def test_a_slow_worker_gets_its_exact_rate() -> None:
    looks = [Look(number / 100, 1 + number // 125) for number in range(1_000)]
    assert rate(looks) == pytest.approx(0.8)


@pytest.mark.parametrize("completed", [[5, 5, 5], [5, 5, 6]])
def test_a_worker_with_fewer_than_two_results_is_not_measured(completed: list[int]) -> None:
    with pytest.raises(NotMeasured, match=r"[01] results in 2\.0 s"):
        rate([Look(float(second), number) for second, number in enumerate(completed)])
