"""The verdicts, the page and the chart that the benchmark makes from its samples."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.chart import chart
from bench.samples import Limit, Ratio, Result, Spread, verdicts
from bench.table import number, page, summary


@pytest.fixture
def jobs() -> Result:
    goals = (
        Ratio("workhorse", "rq", "against stock rq.Worker", at_least=4.0),
        Ratio("workhorse", "celery", "against Celery", at_least=1.0),
    )
    samples = {"workhorse": [400.0, 500.0, 450.0], "rq": [80.0, 125.0, 100.0], "celery": [800.0, 500.0, 600.0]}
    return Result("jobs", "no-op jobs", "jobs/s", goals, samples)


@pytest.fixture
def page_row() -> Result:
    return Result("page", "a page", "ms", (Limit("workhorse", "p99, ms", at_most=20.0),), {"workhorse": [12.5]})


def test_a_ratio_is_taken_within_each_round(jobs: Result) -> None:
    against_rq, against_celery = verdicts(jobs)
    assert against_rq.spread == Spread(4.5, 4.0, 5.0)
    assert against_rq.met
    assert against_celery.spread.median == 0.75
    assert not against_celery.met


def test_an_upper_limit_is_missed_above_it(page_row: Result) -> None:
    assert verdicts(page_row)[0].met
    page_row.samples["workhorse"] = [21.0]
    assert not verdicts(page_row)[0].met


def test_a_lower_limit_is_missed_below_it(page_row: Result) -> None:
    page_row.goals = (Limit("workhorse", "jobs/s", at_least=3_000),)
    page_row.samples["workhorse"] = [2_999.0]
    assert not verdicts(page_row)[0].met
    assert "| jobs/s | ≥ 3,000 | 2,999 | 2,999 – 2,999 | **missed** |" in page([page_row], {})
    page_row.samples["workhorse"] = [3_000.0]
    assert verdicts(page_row)[0].met


def test_a_goal_without_samples_has_no_verdict() -> None:
    result = Result("page", "a page", "ms", (Limit("workhorse", "p99, ms", at_most=20.0),))
    assert verdicts(result) == []


def test_the_page_shows_missed_goals_like_met_ones(jobs: Result, page_row: Result) -> None:
    text = page([jobs, page_row], {"Machine": "2 CPUs"}, "performance-table.svg")
    assert "- Machine: 2 CPUs" in text
    assert "| against stock rq.Worker | ≥ 4 × | 4.5 × | 4 – 5 | met |" in text
    assert "| against Celery | ≥ 1 × | 0.75 × | 0.5 – 1 | **missed** |" in text
    assert "| p99, ms | ≤ 20 | 12.5 | 12.5 – 12.5 | met |" in text
    assert "| no-op jobs, jobs/s | workhorse | 450 | 400 – 500 | 3 |" in text
    assert "|  | rq | 100 | 80 – 125 | 3 |" in text
    assert "(performance-table.svg)" in text


def test_every_line_of_a_table_has_the_same_number_of_cells(jobs: Result, page_row: Result) -> None:
    blocks = [block for block in page([jobs, page_row], {}).split("\n\n") if block.startswith("|")]
    assert len(blocks) == 2
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_page_lists_what_was_not_measured(jobs: Result) -> None:
    jobs.troubles.append("no worker came up")
    assert "- jobs: no worker came up" in page([jobs], {})


def test_a_contender_that_was_not_measured_has_its_reason_on_the_page(jobs: Result) -> None:
    del jobs.samples["celery"]
    jobs.failed["celery"] = "NotMeasured: no result"
    text = page([jobs], {})
    assert "| against Celery | ≥ 1 × |  |  | not measured |" in text
    assert "- jobs, celery: NotMeasured: no result" in text
    assert "not measured: jobs, celery: NotMeasured: no result" in summary([jobs])


def test_the_summary_has_a_line_for_each_goal(jobs: Result) -> None:
    won, lost = summary([jobs]).splitlines()
    assert won.startswith("met")
    assert lost.startswith("MISSED")


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.12345, "0.123"), (4.0, "4"), (12.34, "12.3"), (1024, "1,024"), (99.96, "100")]
)
def test_numbers_are_shown_with_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_picture_is_xml_with_a_bar_for_each_contender(jobs: Result, page_row: Result) -> None:
    page_row.title = "a page & more"
    drawing = ElementTree.fromstring(chart([jobs, page_row]))  # noqa: S314 - our own
    bars = [each for each in drawing.iter("{http://www.w3.org/2000/svg}rect") if each.get("x")]
    assert len(bars) == 4
