"""JSON Pointers (RFC 6901): how faults and references name a place in a document."""

from __future__ import annotations

from collections.abc import Iterable

Path = tuple[str | int, ...]


def pointer(path: Iterable[str | int]) -> str:
    """Write a path as a JSON Pointer; the empty path is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def parts(text: str) -> tuple[str, ...]:
    """Read a JSON Pointer: the names and positions on the way, as text."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])
