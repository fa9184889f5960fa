"""Measure how long each request takes."""

from __future__ import annotations

import time

from flask import Flask, g


def install(app: Flask) -> None:
    """Start with every request of `app`, before anything else looks at it."""
    app.before_request_funcs.setdefault(None, []).insert(0, _start)


def elapsed_seconds() -> float:
    """Return the seconds since the current request arrived."""
    return time.monotonic() - float(g.started)


def _start() -> None:
    g.started = time.monotonic()
