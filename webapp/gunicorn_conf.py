"""The settings of gunicorn (https://docs.gunicorn.org/en/stable/settings.html)."""

from __future__ import annotations

import sys
from typing import Any

from jobs.engine.errors import ConfigurationError
from jobs.engine.settings import Settings
from webapp.boot_failure import EXIT_CODE, boot_failure

#: The part of the grace time that gunicorn needs to stop the remaining requests and exit.
_LEAVING_SECONDS = 3

try:
    _settings = Settings.load()
except ConfigurationError as error:
    sys.exit(error.message)

bind = f"0.0.0.0:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "webapp.gevent_worker.Worker"
#: Greenlets. Each open stream or long poll occupies one.
worker_connections = _settings.max_streams + 1_000
#: A worker whose event loop is blocked for this long is replaced. Requests may take longer.
timeout = 60
graceful_timeout = max(1, int(_settings.shutdown_grace) - _LEAVING_SECONDS)
#: Also the time that a client has for a request's head, and by which an idle connection may delay a shutdown.
keepalive = 5
#: A hundred `depends_on` fit in a line.
limit_request_line = 8_190
limit_request_fields = 100
limit_request_field_size = 8_190
#: The parent never loads the app: gevent patches each worker before that.
preload_app = False
control_socket_disable = True
accesslog = None
errorlog = "-"


def on_exit(_server: Any) -> None:
    """Exit with a failure if the app could not start."""
    if boot_failure.happened:
        sys.exit(EXIT_CODE)
