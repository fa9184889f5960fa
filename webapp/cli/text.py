"""Format values for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

#: Control characters: in a message or a log line they could control the terminal.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

CELL_CHARACTERS = 60


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --json, which every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for scripts.")(command)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Return the text with its control characters made visible."""
    return text.translate(_VISIBLE)


def moment(at: datetime | None) -> str:
    """Return a time in UTC, to the second; `-` for None."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "-"


def duration(seconds: float) -> str:
    """Return seconds in a readable form: 0.4 s, 12 s, 3:05, 2:03:05."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align rows in columns. Each cell is one line; long cells are cut, except in the last column."""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    cells = [[cut(cell, CELL_CHARACTERS) for cell in row[:-1]] + [row[-1]] for row in cells]
    widths = [max(len(row[column]) for row in (heads, *cells)) for column in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *cells)
    ]
    return "\n".join(lines)


def cut(text: str, characters: int) -> str:
    """Return the text, shortened to at most `characters` with an ellipsis."""
    return text if len(text) <= characters else text[: max(0, characters - 1)] + "…"
