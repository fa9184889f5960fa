"""The web process: HTTP in, HTTP out, no queueing logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from jobs.engine.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI app. By default, its settings come from the environment.

    It starts even while the broker is down, and returns 503 until the broker is back.

    Raises:
        ConfigurationError, UnservableFunction: naming what to correct.
    """
    # gunicorn's parent imports this package for its configuration, before its workers patch the
    # standard library for gevent. Modules imported here would keep unpatched parts of it.
    from .application import build_services, make_app
    from .cli.exits import sentences_on_a_terminal
    from .recording import log_requests

    with sentences_on_a_terminal():
        app = make_app(build_services(settings))
    log_requests(app)
    return app
