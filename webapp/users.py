"""Register users, tell them about themselves, and remove them."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from jobs.engine.accounts.registration import Registration
from jobs.engine.accounts.users import User
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.errors import Forbidden, WorkhorseError
from jobs.engine.times import rfc3339

from . import body
from .auth import caller, caller_if_any, end_session
from .query import Nothing, query
from .rate_limit import admit
from .services import services

log = logging.getLogger(__name__)

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users")

WELCOME = "send-welcome-email"
MAX_BODY_BYTES = 8_192


class NewUser(BaseModel):
    username: str
    email: str
    password: str


@blueprint.post("")
def register() -> tuple[Response, int]:
    """Open to strangers if REGISTRATION is; to administrators in any case."""
    _refuse_unless_open()
    new = body.model(NewUser, max_bytes=MAX_BODY_BYTES)
    query(Nothing)
    # A taken name (409) is not among the checks: without a limit, anybody could find out which users exist.
    admit(partial(Registration.check, new.username, new.email, new.password))
    if caller_if_any() is None:
        services().accounts.gate.admit_stranger(request.remote_addr or "unknown")
    user = services().accounts.register(new.username, new.email, new.password)
    _welcome(user)
    return jsonify(_resource(user)), 201


@blueprint.get("/me")
def me() -> Response:
    query(Nothing)
    admit()
    user = services().accounts.find(caller().user_id)  # not the caller as cached: counts and roles are current
    counts = services().client.counts(user.user_id)
    usage = {
        "request_count": user.request_count,
        "last_request_at": _time(user.last_request_at),
        "jobs": {str(status): count for status, count in counts.items()},
    }
    return jsonify(_resource(user) | {"limits": _limits(), "usage": usage})


@blueprint.delete("/<user_id>")
def remove(user_id: str) -> tuple[str, int]:
    """Remove a user with all that is theirs."""
    itself = user_id in ("me", caller().user_id)
    if not itself and not caller().is_admin:
        raise Forbidden("Only administrators may remove other users.")
    body.no_body()
    query(Nothing)
    user_id = caller().user_id if itself else user_id
    admit(partial(services().accounts.check_close, user_id))
    remove_with_everything(user_id)
    if itself:
        end_session()
    return "", 204


def remove_with_everything(user_id: str) -> None:
    """Remove a user with keys, schedules and jobs; files go with the next clean-up.

    First the door is shut, so that nothing new begins meanwhile.

    Raises:
        UserNotFound
        BrokerUnavailable
    """
    accounts, client = services().accounts, services().client
    accounts.close(user_id)
    Schedules(client).delete_all(user_id)
    client.delete_all(user_id)
    accounts.delete(user_id)


def _refuse_unless_open() -> None:
    user = caller_if_any()
    if services().settings.registration != "open" and (user is None or not user.is_admin):
        raise Forbidden("Registration is closed here: ask an administrator for an account.")


def _welcome(user: User) -> None:
    """Send the welcome mail as a job. One that can't go out is no reason not to register somebody."""
    try:
        if WELCOME in services().catalogue:
            job_type = services().catalogue.find(WELCOME)
            params = {"username": user.user_id, "email": user.email}
            job_type.parameters.validate(params)
            services().client.submit(Submission(job_type=job_type, params=params, user_id=user.user_id))
    except WorkhorseError:
        log.exception("No welcome mail was queued for user %s", user.user_id)


def _resource(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "username": user.user_id,
        "email": user.email,
        "roles": list(user.roles),
        "created_at": _time(user.created_at),
    }


def _limits() -> dict[str, Any]:
    settings = services().settings
    return {
        "rate_limit": settings.rate_limit,
        "max_active_jobs": settings.max_active_jobs_per_user,
        "max_running_jobs": settings.max_running_jobs_per_user or None,
        "max_params_bytes": settings.max_params_bytes,
        "max_result_bytes": settings.max_result_bytes,
        "max_upload_bytes": settings.max_upload_bytes,
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
