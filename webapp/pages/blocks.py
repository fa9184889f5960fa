"""Choose how to show a JSON value: as a file, picture, table, list, facts or text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

#: The image types that can't contain scripts.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})

MAX_ROWS = 200
MAX_COLUMNS = 12
MAX_DEPTH = 6
#: Longer texts are shown in a box of their own.
LINE_CHARACTERS = 120

Look = Literal["empty", "text", "long", "picture", "video", "audio", "file", "table", "list", "facts", "json"]


@dataclass(frozen=True)
class Block:
    look: Look
    value: Any = None
    #: The column names of a table.
    columns: tuple[str, ...] = ()
    #: The rows, entries or facts, made of blocks.
    parts: tuple[Any, ...] = ()
    #: The number of rows or entries that are not shown.
    left_out: int = 0


def block(value: Any, depth: int = 0) -> Block:
    """Return the block for a JSON value."""
    if value is None or value in ("", [], {}):
        return Block("empty")
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, list):
        return _list(value, depth)
    if isinstance(value, str):
        return Block("long" if len(value) > LINE_CHARACTERS or "\n" in value else "text", value)
    return Block("text", {True: "yes", False: "no"}[value] if isinstance(value, bool) else value)


def _object(value: dict[str, Any], depth: int) -> Block:
    if depth >= MAX_DEPTH:
        return Block("json", value)
    if not _is_file(value):
        return Block("facts", parts=tuple((name, block(part, depth + 1)) for name, part in value.items()))
    beside = {name: part for name, part in value.items() if name not in _FILE and part is not None}
    return Block(
        _look_of_file(value), value, parts=tuple((name, block(part, depth + 1)) for name, part in beside.items())
    )


_FILE = ("file_id", "filename", "content_type", "size", "sha256", "expires_at")


def _is_file(value: dict[str, Any]) -> bool:
    return all(isinstance(value.get(name), str) for name in ("file_id", "filename", "content_type"))


def _look_of_file(value: dict[str, Any]) -> Look:
    kind = value["content_type"]
    if _has_expired(value.get("expires_at")):
        return "file"
    if kind in PICTURES:
        return "picture"
    media: dict[str, Look] = {"video": "video", "audio": "audio"}
    return media.get(kind.partition("/")[0], "file")


def _has_expired(moment: Any) -> bool:
    try:
        return datetime.fromisoformat(moment) < datetime.now(UTC)
    except (TypeError, ValueError):
        return False


def _list(value: list[Any], depth: int) -> Block:
    if depth >= MAX_DEPTH:
        return Block("json", value)
    shown, left_out = value[:MAX_ROWS], max(0, len(value) - MAX_ROWS)
    columns = _columns(shown)
    if columns:
        rows = tuple(tuple(block(row.get(name), depth + 1) for name in columns) for row in shown)
        return Block("table", columns=columns, parts=rows, left_out=left_out)
    return Block("list", parts=tuple(block(each, depth + 1) for each in shown), left_out=left_out)


def _columns(rows: list[Any]) -> tuple[str, ...]:
    """Return the column names if the rows can be shown as a table, else none."""
    if not all(isinstance(row, dict) and row and not _is_file(row) for row in rows):
        return ()
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    plain = all(not isinstance(value, dict | list) for row in rows for value in row.values())
    return names if plain and len(names) <= MAX_COLUMNS else ()
