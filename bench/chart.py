"""The results as an SVG chart: the medians of the contenders as bars, and their spread as a line."""

from __future__ import annotations

from html import escape

from .samples import Result, Spread
from .table import number

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 820, 210, 150
BAR, GAP, TITLE = 16, 6, 34
OURS, THEIRS, INK, PAPER = "#2f6f4f", "#a9b4bd", "#24292f", "#ffffff"
#: The names of this project's contenders in the rows. A comma may follow, with the part of a sample.
OWN = {"workhorse", "two", "long queue", "track()", "worker.py", "make run"}


def chart(results: list[Result]) -> str:
    """Draw one panel for each row. The bars of a panel share a scale."""
    shapes: list[str] = []
    y = 8.0
    for result in results:
        if result.samples:
            y = _panel(result, y, shapes)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y:.0f}" fill="{PAPER}"/>', *shapes, "</svg>"]) + "\n"


def _panel(result: Result, y: float, shapes: list[str]) -> float:
    shapes.append(
        f'<text x="8" y="{y + 20:.0f}" font-weight="600">{escape(result.title)}, {escape(result.unit)}</text>'
    )
    y += TITLE
    spreads = {name: Spread.of(samples) for name, samples in result.samples.items()}
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(spread.greatest for spread in spreads.values())
    for name, spread in spreads.items():
        shapes += _bar(name, spread, scale, y)
        y += BAR + GAP
    return y + GAP


def _bar(name: str, spread: Spread, scale: float, y: float) -> list[str]:
    middle, text_y = y + BAR / 2, y + BAR - 4
    ends = [LABEL_WIDTH + scale * end for end in (spread.least, spread.greatest)]
    length = max(1.0, scale * spread.median)
    color = OURS if name.split(", ", 1)[0] in OWN else THEIRS
    return [
        f'<text x="{LABEL_WIDTH - 8}" y="{text_y:.1f}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" fill="{color}"/>',
        f'<path d="M{ends[0]:.1f} {middle:.1f}H{ends[1]:.1f}" stroke="{INK}" stroke-width="1.5"/>',
        f'<text x="{ends[1] + 8:.1f}" y="{text_y:.1f}">{escape(number(spread.median))}</text>',
    ]
