"""Assemble the app from its services, guards and views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import connect
from jobs.engine.broker.fast_redis import FastRedis
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.follow.follower import Follower
from jobs.engine.settings import Settings
from jobs.engine.settings import settings as environment

from . import (
    api_keys,
    audit,
    auth,
    batches,
    bulk,
    cli,
    dashboard,
    files,
    first_admin,
    inline_calls,
    job_types,
    jobs,
    metrics,
    operations,
    pages,
    pipelines,
    problems,
    queues,
    rate_limit,
    recording,
    schedule_control,
    schedules,
    security_headers,
    sign_in,
    stopwatch,
    stream_slots,
    streams,
    submissions,
    tickets,
    tokens,
    users,
    webhook_subscriptions,
    websockets,
    workers,
)
from .routing import Address, Routes
from .services import EXTENSION, Services
from .shutdown import shutdown

_VIEWS = (
    submissions,
    bulk,
    jobs,
    streams,
    websockets,
    batches,
    pipelines,
    schedules,
    schedule_control,
    inline_calls,
    job_types,
    tokens,
    tickets,
    users,
    api_keys,
    files,
    webhook_subscriptions,
    audit,
    operations,
    metrics,
    queues,
    workers,
    pages,
    sign_in,
    dashboard,
)


def build_services(settings: Settings | None = None) -> Services:
    """Return the services of the views. Nothing is sent to the broker yet."""
    settings = settings or environment()
    catalogue = Catalogue.discover(settings.job_packages)
    connection = connect(settings, kind=FastRedis)
    client = Client(connection, settings, catalogue)
    follower = Follower(client, stopping=lambda: shutdown.begun)
    return Services(settings, catalogue, client, Accounts(connection, settings), follower)


class App(Flask):
    url_map_class = Routes
    url_map: Routes

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged: Flask calls this in every request, and none of ours is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map to a request. Flask's own (3.1.3) also matches WebSockets' rules, hosts and subdomains."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return Address(self.url_map, request)


def make_app(services: Services) -> Flask:
    """Return the app for these services."""
    app = App(__name__)
    app.extensions[EXTENSION] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_params_bytes
    # A wrong address is refused, never redirected to a similar one.
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    stopwatch.install(app)
    problems.install(app)
    security_headers.install(app)
    first_admin.install(app)
    auth.install(app)
    rate_limit.install(app)
    recording.install(app)
    metrics.install(app)
    stream_slots.install(app, services.settings.max_streams)
    for view in _VIEWS:
        app.register_blueprint(view.blueprint)
    cli.install(app)
    if hops := services.settings.trusted_proxies:
        # Without it all clients have the proxy's address, in limits and in the audit log.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # as Flask says
    return app
