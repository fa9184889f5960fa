"""Record requests: each one in the access log, and what users did in the audit log.

Both are written after the request, which does not wait for them and does not fail if they do.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import cast

from flask import Flask, Request, Response, g, request
from pydantic_core import to_json

from jobs.engine.accounts.audit import Act
from jobs.engine.broker.background_writer import BackgroundWriter
from jobs.engine.times import rfc3339

from .auth import caller_if_any
from .current import current_globals, current_request
from .forgery import SAFE_METHODS
from .services import services
from .stopwatch import elapsed_seconds

log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":")).encode

SIGN_IN = "sign-in"
ADMIN_READ = "admin-read"
BULK_ACTION = "bulk-action"
PAUSE_QUEUE = "pause-queue"
RESUME_QUEUE = "resume-queue"
PAUSE_JOB_TYPE = "pause-job-type"
RESUME_JOB_TYPE = "resume-job-type"
DRAIN = "drain-worker"
UNDO_DRAIN = "undo-drain"
#: Actions of the command line.
SET_PASSWORD = "set-password"  # noqa: S105 (a word of the log)
REPAIR = "repair"

#: The names of actions. An action that is not listed has the name of its endpoint.
ACTIONS = {
    "tokens.issue": "sign-in",
    "sign_in.sign_in": "sign-in",
    "sign_in.form": "sign-in",
    "sign_in.sign_out": "sign-out",
    "api_keys.create": "create-api-key",
    "api_keys.revoke": "revoke-api-key",
    "users.register": "create-user",
    "users.remove": "delete-user",
    "submissions.submit": "submit-job",
    "bulk.submit": BULK_ACTION,
    "batches.submit": "submit-batch",
    "pipelines.submit": "submit-pipeline",
    "pages.submit": "submit-job",
    "pages.submit_bulk": BULK_ACTION,
    "pages.change_jobs": "change-jobs",
    "pages.cancel_job": "cancel-job",
    "pages.retry_job": "retry-job",
    "pages.cancel_batch": "cancel-batch",
    "pages.cancel_pipeline": "cancel-pipeline",
    "pages.delete_schedule": "schedules.delete",
    "pages.edit_schedule": "schedules.edit",
    "pages.pause_schedule": "schedules.pause",
    "pages.resume_schedule": "schedules.resume",
    "pages.run_schedule": "schedules.run",
    "pages.create_key": "create-api-key",
    "pages.revoke_key": "revoke-api-key",
    "jobs.cancel": "cancel-job",
    "jobs.retry": "retry-job",
    "batches.cancel": "cancel-batch",
    "pipelines.cancel": "cancel-pipeline",
    "queues.pause": PAUSE_QUEUE,
    "queues.resume": RESUME_QUEUE,
    "job_types.pause": PAUSE_JOB_TYPE,
    "job_types.resume": RESUME_JOB_TYPE,
    "pages.pause_queue": PAUSE_QUEUE,
    "pages.resume_queue": RESUME_QUEUE,
    "pages.pause_job_type": PAUSE_JOB_TYPE,
    "pages.resume_job_type": RESUME_JOB_TYPE,
    "workers.drain_worker": DRAIN,
    "workers.undo_drain": UNDO_DRAIN,
    "pages.drain_worker": DRAIN,
    "pages.undo_drain": UNDO_DRAIN,
    "schedule_control.pause": "schedules.pause",
    "schedule_control.resume": "schedules.resume",
    "schedule_control.run": "schedules.run",
    "webhooks.subscribe": "create-webhook",
    "webhooks.unsubscribe": "delete-webhook",
    "webhooks.rotate": "rotate-webhook-secret",
}

#: They change nothing that is worth an entry.
_UNRECORDED = frozenset({"calls.predict", "tickets.issue"})
#: Requested frequently by machines.
_UNLOGGED = frozenset({"operations.health", "operations.readiness", "static"})

_access_log: BackgroundWriter[str] = BackgroundWriter(
    "access-log", lambda lines: print("\n".join(lines), file=sys.stderr)
)


def install(app: Flask) -> None:
    """Record the actions of the users of `app` in the audit log."""
    app.after_request(_note)


def log_requests(app: Flask) -> None:
    """Write a line for every request of `app` to stderr, even for unauthenticated ones."""
    app.after_request(_log)


def admin_reads(subject: str) -> None:
    """Record that this request, an admin's, reads `subject`, which belongs to another user."""
    g.setdefault("admin_reads", {})[subject[:200]] = True


def creates(subject: str) -> None:
    """Record that this request has created `subject`, a resource whose address the response does not have."""
    g.created = subject[:200]


def claims_to_be(name: str) -> None:
    """Record the name that the request tries to sign in with."""
    g.claimed_name = name[:200]


def _log(response: Response) -> Response:
    received = current_request()
    if received.endpoint not in _UNLOGGED:
        _access_log.add(_line(received, response))
    return response


def _note(response: Response) -> Response:
    try:
        for act in _acts(current_request(), response):
            services().audit.note(act)
    except Exception:  # the response is complete, and an error here must not change it
        log.exception("%s %s was not recorded", request.method, request.path)
    return response


def _line(received: Request, response: Response) -> str:
    user = caller_if_any()
    line = {
        "at": rfc3339(datetime.now(UTC)),
        "method": received.method,
        # Without the query, which may contain a ticket or a sign-in link.
        "path": received.path,
        "status": response.status_code,
        "milliseconds": round(elapsed_seconds() * 1_000, 1),
        "user_id": user.user_id if user else None,
        "address": received.remote_addr,
    }
    # In ASCII: a path may contain any bytes. pydantic's core is faster, and writes other characters as they are.
    return to_json(line).decode() if received.path.isascii() else _encode(line)


def _acts(received: Request, response: Response) -> Iterator[Act]:
    """Yield what a request did or, if it did nothing that is recorded, what an admin read with it."""
    status = response.status_code
    action = _action(received)
    if action is not None and _counts(action, status):
        yield Act(action, _who(), received.remote_addr, status, _subject(response))
        return
    if received.method in SAFE_METHODS and status >= HTTPStatus.BAD_REQUEST:
        return  # the response does not show it
    for subject in current_globals().get("admin_reads", ()):
        yield Act(ADMIN_READ, _who(), received.remote_addr, status, subject)


def _action(received: Request) -> str | None:
    endpoint = received.endpoint
    if endpoint is None or endpoint in _UNRECORDED:
        return None
    if received.method not in SAFE_METHODS:
        return ACTIONS.get(endpoint, endpoint)
    if endpoint == "sign_in.form":
        return SIGN_IN if "token" in received.args else None
    if received.blueprint == "rq_dashboard" and not received.path.endswith(".json"):
        return ADMIN_READ
    return None


def _counts(action: str, status: int) -> bool:
    """Return True for actions that succeeded or were forbidden, and for failed sign-ins."""
    if status == HTTPStatus.UNAUTHORIZED:
        return action == SIGN_IN
    return status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.FORBIDDEN


def _who() -> str | None:
    user = caller_if_any()
    if user is not None:
        return user.user_id
    if request.endpoint == "sign_in.sign_in":
        return g.get("claimed_name") or request.form.get("username", "")[:200] or None
    return cast("str | None", g.get("claimed_name"))


def _subject(response: Response) -> str | None:
    if "created" in g:
        return cast(str, g.created)
    location = response.headers.get("Location", "")
    if location.startswith(("/api/", "/jobs/")):  # the address of a new resource; other redirects lead elsewhere
        return location.rpartition("/")[2][:200]
    return ", ".join(map(str, (current_request().view_args or {}).values()))[:200] or None
