"""Serve rq-dashboard at /dashboard, where administrators see queues, workers and jobs as RQ does.

It is a foreign application with its own connection to the broker. A guard before its views admits only
administrators, refuses changes that would bypass the engine, and makes its pages safe. Comments refer to
rq-dashboard 0.9.0 (web.py, templates) and rq 2.12.0.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

import redis
import rq_dashboard.web as upstream
from flask import Blueprint, Response, current_app, jsonify, redirect, request, url_for
from markupsafe import escape
from rq import requeue_job
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response as AnyResponse

from jobs.engine.broker.connection import NOT_NOW, connect
from jobs.engine.errors import BrokerUnavailable, Conflict, JobNotFound, NotFound

from .auth import require_admin
from .dashboard_records import ReadOnlyQueue, SafeJob, SafeWorker, TolerantRedis
from .problems import of_error
from .rate_limit import admit
from .services import services

blueprint: Blueprint = upstream.blueprint
blueprint.url_prefix = "/dashboard"

upstream.config.serializer = JSONSerializer
upstream.Job, upstream.Queue, upstream.Worker = SafeJob, ReadOnlyQueue, SafeWorker
upstream.requeue_job = lambda job_id, connection: requeue_job(job_id, connection, serializer=JSONSerializer)

MAX_PER_PAGE = 200

# scripts/jobs.js copies a queue's name from the address into a script.
_QUEUE = re.compile(r"[A-Za-z0-9_.:@+-]{1,128}")
_WHOLE = re.compile(r"[1-9][0-9]{0,8}")
_REGISTRIES = frozenset({"queued", "failed", "deferred", "started", "finished", "canceled", "scheduled"})
_ORDERS = frozenset({"asc", "dsc"})

_BULK = frozenset({"requeue_all", "empty_queue", "compact_queue"})

#: The fields that the pages' own scripts escape. All other texts go into the page as HTML.
_ESCAPED_BY_PAGE = {
    "list_jobs": frozenset({"description", "exc_info"}),
    "list_workers": frozenset({"description"}),
    "list_queues": frozenset[str](),
    "job_info": frozenset[str](),
}

_INLINE_SCRIPT = '<script type="text/javascript">'


def _guard() -> AnyResponse | None:
    """Check every request before rq-dashboard handles it."""
    require_admin()
    view = (request.endpoint or "").rpartition(".")[2]
    if view == "requeue_all" and request.method != "POST":
        raise MethodNotAllowed(["POST"])  # its GET would change jobs
    _connect()
    _check_address(request.view_args or {})
    if view in _BULK:
        raise Conflict(
            "Bulk changes are disabled, because they could lose jobs. Cancel or retry each job by its own button."
        )
    job_id = (request.view_args or {}).get("job_id")
    if job_id is not None:
        _check_exists(job_id)
    admit()
    return _act_on_job(view, job_id) if job_id is not None else None


def _connect() -> None:
    """Give rq-dashboard our connection: its own ignores our time-outs and REDIS_TLS_VERIFY."""
    app: Any = current_app
    if not hasattr(app, "redis_conn"):
        app.redis_conn = connect(services().settings, kind=TolerantRedis)


def _check_address(address: dict[str, Any]) -> None:
    """Refuse addresses that its views would fail on, or copy into a page unescaped."""
    legal = (
        address.get("instance_number", 0) == 0
        and (address.get("queue_name") is None or _QUEUE.fullmatch(address["queue_name"]))
        and address.get("registry_name", "queued") in _REGISTRIES
        and address.get("order", "asc") in _ORDERS
        and all(_WHOLE.fullmatch(str(address.get(name, 1))) for name in ("page", "per_page"))
    )
    if not legal:
        raise NotFound
    if int(address.get("per_page", 1)) > MAX_PER_PAGE:
        address["per_page"] = type(address["per_page"])(MAX_PER_PAGE)


def _connection() -> redis.Redis:
    connection: redis.Redis = current_app.redis_conn  # type: ignore[attr-defined]
    return connection


def _check_exists(job_id: str) -> None:
    if not _connection().exists(SafeJob.key_for(job_id)):
        raise JobNotFound


def _act_on_job(view: str, job_id: str) -> AnyResponse | None:
    """Cancel and retry our jobs through the client. A foreign job has no indexes to keep consistent."""
    ours = _connection().hexists(SafeJob.key_for(job_id), "version")
    if not ours or view not in ("delete_job_view", "requeue_job_view"):
        return None
    if view == "delete_job_view":
        services().client.cancel(job_id)
    else:
        services().client.retry(job_id)
    return jsonify(status="OK")


# Only displayed, since the address may contain a password. `_connect` makes the connection.
blueprint.record(lambda state: state.app.config.update(RQ_DASHBOARD_REDIS_URL=("broker",)))

# In place of push_rq_connection, which opens a new pool of connections for each request.
blueprint.before_request_funcs[None] = [_guard]


@blueprint.get("")
def enter() -> AnyResponse:
    return redirect(url_for("rq_dashboard.queues_overview"), 303)


@blueprint.after_request
def _harden(response: Response) -> Response:
    if response.mimetype == "application/json":
        _escape(response)
    if response.mimetype == "text/html":
        _allow_inline_script(response)
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _escape(response: Response) -> None:
    """Escape the data of the pages' templates, which copy most of it into the page unescaped.

    A job's description, result and error may hold what its user sent.
    """
    exempt = _ESCAPED_BY_PAGE.get((request.endpoint or "").rpartition(".")[2])
    if exempt is not None and response.status_code == 200:
        response.set_data(json.dumps(_escaped(response.get_json(), exempt)))


def _escaped(value: Any, exempt: frozenset[str]) -> Any:
    if isinstance(value, str):
        return str(escape(value))
    if isinstance(value, list):
        return [_escaped(each, exempt) for each in value]
    if isinstance(value, dict):
        return {
            str(escape(name)): each if name in exempt and isinstance(each, str) else _escaped(each, exempt)
            for name, each in value.items()
        }
    return value


def _allow_inline_script(response: Response) -> None:
    """Allow only the page's one inline script, by a nonce.

    Its templates (underscore) are compiled in the browser, and its elements have styles of their own.
    """
    nonce = secrets.token_urlsafe(16)
    page = response.get_data(as_text=True)
    response.set_data(page.replace(_INLINE_SCRIPT, f'{_INLINE_SCRIPT[:-1]} nonce="{nonce}">'))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@blueprint.errorhandler(NoSuchJobError)
def _gone(_: NoSuchJobError) -> Response:
    return of_error(JobNotFound())


@blueprint.errorhandler(InvalidJobOperation)
def _impossible(_: InvalidJobOperation) -> Response:
    return of_error(Conflict())


def _unavailable(_: Exception) -> Response:
    return of_error(BrokerUnavailable())


for _error in NOT_NOW:
    blueprint.register_error_handler(_error, _unavailable)
