"""The function of the stock run, in a module that imports nothing."""

from __future__ import annotations


def note(number: int) -> int:
    """Return the number."""
    return number
