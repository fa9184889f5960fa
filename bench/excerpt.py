"""The goals that matter most, as a table in pages that people write."""

from __future__ import annotations

import re
from pathlib import Path

from .samples import Result, verdicts
from .table import goal_cells, markdown_table

BEGIN, END = "<!-- Written by `make bench`: begin -->", "<!-- Written by `make bench`: end -->"


def excerpt(results: list[Result], *, short: bool) -> str:
    """Return a table of the goals that were measured: only the headlines if it is to be short."""
    found = [verdict for result in results for verdict in verdicts(result) if verdict.goal.headline or not short]
    rows = []
    for verdict in found:
        what, wanted, measured, spread, _met = goal_cells(verdict.goal, verdict)
        mark = "" if verdict.met else " **missed**"
        rows.append((what, f"{measured} ({spread})", wanted + mark))
    return "\n".join(markdown_table(("what", "measured", "goal"), rows))


def insert(path: Path, table: str) -> None:
    """Replace what is between the two marks of a page.

    Raises:
        ValueError: the page does not have the marks.
    """
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} has no place for the table: {BEGIN} and {END}")
    block = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    path.write_text(block.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text, count=1))
