"""The tables that a full run writes into pages which people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.environments import ROOT
from bench.excerpt import BEGIN, END, excerpt, insert
from bench.samples import Limit, Ratio, Result


@pytest.fixture
def results() -> list[Result]:
    goals = (
        Ratio("workhorse", "rq", "jobs/s, against rq", at_least=4.0, headline=True),
        Ratio("workhorse", "celery", "jobs/s, against Celery", at_least=1.0, headline=True),
        Ratio("workhorse", "huey", "jobs/s, against Huey", at_least=1.0),
    )
    samples = {"workhorse": [400.0, 500.0], "rq": [80.0, 100.0], "celery": [800.0, 500.0], "huey": [400.0, 500.0]}
    idle = Limit("worker.py, idle", "memory, MiB", at_most=150.0, headline=True)
    return [Result("jobs", "no-op jobs", "jobs/s", goals, samples), Result("pss", "memory", "MiB", (idle,))]


def test_the_short_table_has_the_headlines_that_were_measured_and_says_which_are_missed(results: list[Result]) -> None:
    assert excerpt(results, short=True).splitlines()[2:] == [
        "| jobs/s, against rq | 5 × (5 – 5) | ≥ 4 × |",
        "| jobs/s, against Celery | 0.75 × (0.5 – 1) | ≥ 1 × **missed** |",
    ]


def test_the_long_table_has_all_goals(results: list[Result]) -> None:
    assert "| jobs/s, against Huey | 1 × (1 – 1) | ≥ 1 × |" in excerpt(results, short=False)


def test_a_table_replaces_the_previous_one_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    for table in ("| 1 |", "| 2 \\1 |"):
        insert(page, table)
        assert page.read_text() == f"before\n\n{BEGIN}\n{table}\n{END}\n\nafter\n"


def test_a_page_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    with pytest.raises(ValueError, match=r"page\.md has no place for the table"):
        insert(page, "| 1 |")


@pytest.mark.parametrize("page", ["README.md", "docs/comparison.md"])
def test_the_pages_have_a_place_for_the_table(page: str) -> None:
    text = (ROOT / page).read_text()
    assert 0 < text.index(BEGIN) < text.index(END)
