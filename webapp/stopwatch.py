"""Measure how long each request takes."""

from __future__ import annotations

import time

from flask import Flask

from .current import current_globals


def install(app: Flask) -> None:
    """Start with every request of `app`, before anything else looks at it."""
    app.before_request_funcs.setdefault(None, []).insert(0, _start)


def elapsed_seconds() -> float:
    """Return the seconds since the current request arrived."""
    return time.monotonic() - float(current_globals().started)


def _start() -> None:
    current_globals().started = time.monotonic()
