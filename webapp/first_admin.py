"""Create the admin as soon as the broker can be reached."""

from __future__ import annotations

from flask import Flask, request

from .services import services

#: They work without the broker.
_WITHOUT_BROKER = frozenset({"operations.health", "operations.readiness", "static"})


def install(app: Flask) -> None:
    """Try before each request until it has succeeded once: the web process may start before the broker."""
    done = False

    def ensure() -> None:
        nonlocal done
        if not done and request.endpoint not in _WITHOUT_BROKER:
            services().accounts.ensure_admin()
            done = True

    app.before_request(ensure)
