"""The benchmark's command line, and the rows that it knows."""

from __future__ import annotations

import pytest

from bench.__main__ import ROWS, _parser
from bench.environments import PINNED
from bench.samples import Ratio


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_quick_look_at_each_row_parses(row) -> None:
    options = _parser().parse_args(["--quick", "--only", row.name, "--rounds", "2", "--json"])
    assert options.quick
    assert options.json
    assert options.only == [row.name]


def test_a_row_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["--only", "jobz"])
    assert "invalid choice: 'jobz'" in capsys.readouterr().err


def test_every_goal_can_be_met_or_missed() -> None:
    for row in ROWS:
        for goal in row.goals:
            if isinstance(goal, Ratio):
                assert (goal.at_least is None) != (goal.at_most is None), goal


def test_every_peer_is_pinned_to_one_version() -> None:
    for pins in PINNED.values():
        assert all(pin.count("==") == 1 for pin in pins)
