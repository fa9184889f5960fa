"""The page on which a user confirms an action on all jobs that match."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.bulk import bulk_submission
from jobs.engine.client.bulk_request import Action
from jobs.engine.errors import Forbidden, InvalidRequest, NotFound, TooManyActiveJobs
from jobs.engine.states import Status
from webapp.auth import caller
from webapp.ownership import visible_user_jobs
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, page, refused
from .entered_times import as_api_time
from .jobs import FILTERS

_TIMES = ("created_after", "created_before")
_CONDITIONS = (*FILTERS, "error_type", "error")


@blueprint.get("/jobs/bulk")
def bulk() -> Response:
    admit()
    conditions = _sent()
    if "user_id" in conditions and conditions["user_id"] != "*":
        visible_user_jobs(conditions["user_id"])
    return page(
        "bulk.html",
        action=_action(),
        conditions=conditions,
        statuses=list(Status),
        job_types=list(services().catalogue),
    )


@blueprint.post("/jobs/bulk")
def submit_bulk() -> Response:
    """Submit the bulk action, and show its job."""
    conditions, action = _sent(), _action()
    back = f"{url_for('pages.bulk')}?{urlencode({**conditions, 'do': action})}"
    params: dict[str, Any] = {"action": str(action), "filter": _as_api(conditions)}
    try:
        submission = bulk_submission(services().catalogue, params, caller())
        admit()
        job = services().client.submit(submission).job
    except InvalidRequest as error:
        return refused(_sentence(error), back)
    except (Forbidden, NotFound, TooManyActiveJobs) as error:
        return refused(error.message, back)
    return done("This job does it. It can be cancelled.", url_for("pages.job", job_id=job.job_id))


def _sent() -> dict[str, str]:
    given = {name: request.values.get(name, "").strip()[:256] for name in _CONDITIONS}
    return {name: text for name, text in given.items() if text}


def _action() -> Action:
    wanted = request.values.get("do", "")
    return Action(wanted) if wanted in tuple(Action) else Action.RETRY


def _as_api(conditions: dict[str, str]) -> dict[str, str]:
    """Return the conditions with times as the API takes them."""
    return conditions | {name: as_api_time(conditions[name]) for name in _TIMES if name in conditions}


def _sentence(error: InvalidRequest) -> str:
    faults = [f"{(fault.pointer or '').removeprefix('/filter').lstrip('/')}: {fault.message}" for fault in error.faults]
    return "; ".join(fault.removeprefix(": ") for fault in faults)
