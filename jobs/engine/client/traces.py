"""Read the traceback of a failed job as RQ stores it."""

from __future__ import annotations

import zlib
from base64 import b64decode
from keyword import iskeyword

_HEADING = "Traceback (most recent call last):"


def read_trace(stored: dict[str, bytes]) -> str | None:
    """Return the traceback in an entry of RQ's results, or None if it has none that can be read."""
    exc_string = stored.get("exc_string")
    try:
        return zlib.decompress(b64decode(exc_string)).decode("utf-8", "replace") if exc_string else None
    except (ValueError, zlib.error):
        return None


def exception_class(trace: str | None) -> str | None:
    """Return the name of the exception's class, without its module, or None if the trace is not a traceback."""
    # That of the last exception in a chain.
    _before, heading, stack = (trace or "").rpartition(_HEADING)
    lines = stack.splitlines()[1:] if heading else []
    # The lines of the stack are indented. The message may have lines too, after the one with the class.
    named = next((line for line in lines if not line.startswith(" ")), "")
    name = named.partition(":")[0].rpartition(".")[2]
    return name if name.isidentifier() and not iskeyword(name) else None
