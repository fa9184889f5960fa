"""The command line of the benchmark, and its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import checkout
from bench.__main__ import ROWS, main, parser
from bench.environments import PINNED, ROOT
from bench.samples import Ratio


def test_every_row_has_its_own_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_quick_run_of_each_row_is_accepted(row) -> None:
    options = parser().parse_args(["--quick", "--only", row.name, "--rounds", "2", "--json"])
    assert options.quick
    assert options.json
    assert options.only == [row.name]


def test_a_row_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--only", "jobz"])
    assert "invalid choice: 'jobz'" in capsys.readouterr().err


def test_every_goal_can_be_met_or_missed() -> None:
    for row in ROWS:
        for goal in row.goals:
            assert (goal.at_least is None) != (goal.at_most is None), goal


def test_every_goal_has_its_own_name() -> None:
    goals = [goal.what for row in ROWS for goal in row.goals]
    assert len(set(goals)) == len(goals)


def test_a_row_names_only_peers_that_can_be_installed() -> None:
    assert {peer for row in ROWS for peer in row.peers} == set(PINNED)


def test_every_peer_is_pinned_to_one_version() -> None:
    for pins in PINNED.values():
        assert all(pin.count("==") == 1 for pin in pins)


def test_a_comparison_with_another_checkout_has_rows_of_the_same_names() -> None:
    options = parser().parse_args(["--against", str(ROOT)])
    rows = checkout.rows(options.against)
    assert {row.name for row in rows} == {"jobs", "post", "poll"} <= {row.name for row in ROWS}
    for row in rows:
        (goal,) = row.goals
        assert isinstance(goal, Ratio)
        assert (goal.of, goal.against, goal.at_least) == ("workhorse", "before", 0.95)


def test_a_folder_that_is_not_a_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--against", str(tmp_path)])
    assert "it has no worker.py" in capsys.readouterr().err


def test_a_row_that_is_not_compared_with_another_checkout_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--against", str(ROOT), "--only", "heap"])
    assert "--against measures these rows only: jobs, post, poll" in capsys.readouterr().err
