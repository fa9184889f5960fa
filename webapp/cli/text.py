"""What a terminal may be shown, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

#: Control characters: one of them in a message or a log line could make a terminal do things.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

CELL_CHARACTERS = 60


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for scripts.")(command)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """The text with its control characters made visible."""
    return text.translate(_VISIBLE)


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "-"


def duration(seconds: float) -> str:
    """As people read it: 0.4 s, 12 s, 3:05, 2:03:05."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell. A cell is one line, and cut if it is long; the last one is not."""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    cells = [[cut(cell, CELL_CHARACTERS) for cell in row[:-1]] + [row[-1]] for row in cells]
    widths = [max(len(row[column]) for row in (heads, *cells)) for column in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *cells)
    ]
    return "\n".join(lines)


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: max(0, characters - 1)] + "…"
