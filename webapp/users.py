"""Register users, show them their account, and remove them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.registration import Registration
from jobs.engine.accounts.user import User
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.errors import Forbidden, WorkhorseError
from jobs.engine.public_fields import public_fields
from jobs.engine.settings import Settings

from . import body
from .auth import caller, caller_if_any
from .browser_session import end_session
from .openapi.components import resource
from .openapi.describing import described, described_by_settings
from .openapi.operation import empty_response, json_body, operation, returns
from .openapi.schemas import JobCounts, Schema, returned
from .query import Nothing, query
from .rate_limit import admit
from .recording import creates
from .services import services

log = logging.getLogger(__name__)

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users")

WELCOME = "send-welcome-email"
MAX_BODY_BYTES = 8_192

Count = Annotated[int, Field(ge=0)]


class NewUser(BaseModel):
    username: str
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    password: Annotated[str, Field(json_schema_extra={"format": "password"})]


@dataclass(frozen=True, kw_only=True)
class UserResource:
    """A user."""

    user_id: str
    username: str
    email: str
    roles: list[str]
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> UserResource:
        return cls(
            user_id=user.user_id,
            username=user.user_id,
            email=user.email,
            roles=list(user.roles),
            created_at=user.created_at,
        )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a user's requests and jobs."""

    rate_limit: Annotated[str, Field(examples=["600/minute"])]
    max_active_jobs: Count
    max_running_jobs: Annotated[Count | None, Field(description="null: no limit.")]
    max_params_bytes: Count
    max_result_bytes: Count
    max_upload_bytes: Count

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            rate_limit=settings.rate_limit,
            max_active_jobs=settings.max_active_jobs_per_user,
            max_running_jobs=settings.max_running_jobs_per_user or None,
            max_params_bytes=settings.max_params_bytes,
            max_result_bytes=settings.max_result_bytes,
            max_upload_bytes=settings.max_upload_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A user's requests and jobs so far."""

    request_count: Count
    last_request_at: datetime | None
    jobs: Annotated[JobCounts, Field(description="The number of jobs in each status.")]


_USER = resource(UserResource, name="User")
_ME = {"allOf": [_USER, returned({"limits": resource(Limits), "usage": resource(Usage)})]}


def _registering(settings: Settings) -> Schema:
    is_open = settings.registration == "open"
    example = {"username": "alice", "password": "correct horse battery staple", "email": "alice@example.org"}
    return operation(
        "register",
        "Account",
        "Register a user",
        {"201": returns("The user. A job sends a welcome e-mail.", _USER)},
        description="Open to everybody." if is_open else "For administrators: registration is closed.",
        body=json_body(NewUser, example=example),
        refused=(400, 403, 409, 413, 415, 422),
        security=[{}, {"bearer": []}, {"cookie": []}] if is_open else None,
    )


@blueprint.post("")
@described_by_settings(_registering)
def register() -> tuple[Response, int]:
    """Register a user, for anybody if REGISTRATION is open, and otherwise for administrators."""
    _refuse_unless_open()
    new = body.model(NewUser, max_bytes=MAX_BODY_BYTES)
    query(Nothing)
    # A taken name (409) is not among the checks: without a limit, anybody could find out which users exist.
    admit(partial(Registration.check, new.username, new.email, new.password))
    if caller_if_any() is None:
        services().accounts.gate.admit_stranger(request.remote_addr or "unknown")
    user = services().accounts.register(new.username, new.email, new.password)
    creates(user.user_id)
    _welcome(user)
    return jsonify(public_fields(UserResource.of(user))), 201


@blueprint.get("/me")
@described("show-me", "Account", "Show my account", {"200": returns("Roles, limits and usage.", _ME)})
def me() -> Response:
    query(Nothing)
    admit()
    user = services().accounts.find(caller().user_id)  # the cached caller has an old count
    jobs = {str(status): count for status, count in services().client.counts(user.user_id).items()}
    usage = Usage(request_count=user.request_count, last_request_at=user.last_request_at, jobs=jobs)
    parts = {"limits": Limits.of(services().settings), "usage": usage}
    return jsonify(public_fields(UserResource.of(user)) | {name: public_fields(part) for name, part in parts.items()})


@blueprint.delete("/<user_id>")
@described(
    "delete-user",
    "Account",
    "Remove a user, with their keys and jobs",
    {"204": empty_response("The user is removed.")},
    description="Users may remove themselves, and administrators may remove anybody.",
    refused=(400, 403, 404, 409, 413, 415),
)
def remove(user_id: str) -> tuple[str, int]:
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
    """Remove a user with their keys, schedules and jobs. The next clean-up removes their files.

    Their credentials are revoked first, so that nothing new starts in the meantime.

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
        raise Forbidden("Registration is closed. Ask an administrator for an account.")


def _welcome(user: User) -> None:
    """Submit a job that sends the welcome e-mail. The registration succeeds even if the job can't be stored."""
    try:
        if WELCOME in services().catalogue:
            job_type = services().catalogue.find(WELCOME)
            params = {"username": user.user_id, "email": user.email}
            job_type.parameters.validate(params)
            services().client.submit(Submission(job_type=job_type, params=params, user_id=user.user_id))
    except WorkhorseError:
        log.exception("No welcome mail was queued for user %s", user.user_id)
