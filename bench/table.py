"""The results as a page of Markdown, with the verdict on every goal and the spread of all samples."""

from __future__ import annotations

from collections.abc import Iterable

from .samples import Goal, Ratio, Result, Spread, Verdict, verdicts

SIGNIFICANT_DIGITS = 3


def page(results: list[Result], facts: dict[str, str], chart: str | None = None) -> str:
    """Return the whole page. `facts` are about the machine, the versions and the time."""
    lines = [
        "<!-- Written by `make bench`, which overwrites all changes. -->",
        "# Performance, measured",
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
        "",
        "## Goals",
        "",
        "A ratio is the median of the ratios of all rounds. The samples of a round are taken one after the other.",
        "",
        *goals_table(results),
        "",
        "## All samples",
        "",
        *samples_table(results),
    ]
    if chart:
        lines += ["", f"![The medians, with the smallest and the largest sample]({chart})"]
    if missing := [line for result in results for line in _missing(result)]:
        lines += ["", "## Not measured", "", *missing]
    return "\n".join(lines) + "\n"


def goals_table(results: list[Result]) -> list[str]:
    rows = []
    for result in results:
        verdict_on = {verdict.goal: verdict for verdict in verdicts(result)}
        rows += [goal_cells(goal, verdict_on.get(goal)) for goal in result.goals]
    return markdown_table(("what", "goal", "measured", "smallest – largest", ""), rows)


def goal_cells(goal: Goal, verdict: Verdict | None) -> tuple[str, ...]:
    """Return what is measured, the goal, the median, the spread, and the verdict."""
    times = " ×" if isinstance(goal, Ratio) else ""
    wanted = f"≤ {number(goal.at_most or 0)}" if goal.at_least is None else f"≥ {number(goal.at_least)}"
    if verdict is None:
        return goal.what, wanted + times, "", "", "not measured"
    met = "met" if verdict.met else "**missed**"
    return goal.what, wanted + times, f"{number(verdict.spread.median)}{times}", _range(verdict.spread), met


def _missing(result: Result) -> list[str]:
    lines = [f"- {result.row}: {trouble}" for trouble in result.troubles]
    return lines + [f"- {result.row}, {name}: {reason}" for name, reason in result.failed.items()]


def samples_table(results: list[Result]) -> list[str]:
    rows = []
    for result in results:
        for place, (name, samples) in enumerate(result.samples.items()):
            spread = Spread.of(samples)
            title = f"{result.title}, {result.unit}" if place == 0 else ""
            rows.append((title, name, number(spread.median), _range(spread), str(len(samples))))
    return markdown_table(("what", "who", "median", "smallest – largest", "samples"), rows)


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    rule = tuple("---" if place == 0 else "---:" if name else "---" for place, name in enumerate(head))
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _range(spread: Spread) -> str:
    return f"{number(spread.least)} – {number(spread.greatest)}"


def number(value: float) -> str:
    """Format a number with three significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.{SIGNIFICANT_DIGITS}g}'):g}"


def summary(results: list[Result]) -> str:
    """Return one line for each goal, and for each contender that was not measured, for the terminal."""
    lines = []
    for result in results:
        for verdict in verdicts(result):
            _what, wanted, measured, spread, _met = cells = goal_cells(verdict.goal, verdict)
            mark = "met   " if verdict.met else "MISSED"
            lines.append(f"{mark} {measured:>10}  ({wanted}; {spread})  {cells[0]}")
        lines += [f"not measured: {line.removeprefix('- ')}" for line in _missing(result)]
    return "\n".join(lines)
