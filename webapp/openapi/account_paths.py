"""Users, tokens and API keys."""

from __future__ import annotations

from typing import Any

from jobs.engine.settings import Settings
from jobs.engine.states import Status

from .operation import answer, in_path, json_body, operation, ref
from .schemas import COUNT, TEXT, TIME, USER, answered, nullable, taken

PASSWORD = {"type": "string", "format": "password"}
CREDENTIALS = taken({"username": TEXT, "password": PASSWORD})
#: OAuth 2 clients add two fields, which change nothing.
CREDENTIALS_FORM = taken(
    {"username": TEXT, "password": PASSWORD, "grant_type": TEXT, "scope": TEXT}, optional=("grant_type", "scope")
)
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
CREDENTIALS_EXAMPLE = {"username": "alice", "password": "correct horse battery staple"}
BODY_REFUSALS = (400, 413, 415, 422)

TOKEN = answered({"access_token": TEXT, "token_type": {"const": "bearer"}, "expires_in": COUNT})
TOKEN_EXAMPLE = {"access_token": "eyJhbGciOiJIUzI1NiJ9…", "token_type": "bearer", "expires_in": 3600}

ME = answered(
    USER
    | {
        "limits": answered(
            {
                "rate_limit": TEXT | {"examples": ["600/minute"]},
                "max_active_jobs": COUNT,
                "max_running_jobs": nullable(COUNT),
                "max_params_bytes": COUNT,
                "max_result_bytes": COUNT,
                "max_upload_bytes": COUNT,
            }
        ),
        "usage": answered(
            {
                "request_count": COUNT,
                "last_request_at": nullable(TIME),
                "jobs": answered({str(status): COUNT for status in Status}),
            }
        ),
    }
)


def account_paths(settings: Settings) -> dict[str, Any]:
    """The paths of users, tokens and API keys. Registering needs credentials unless REGISTRATION is open."""
    return {
        "/token": {"post": _issue_token()},
        "/users": {"post": _register(is_open=settings.registration == "open")},
        "/users/me": {"get": _show_me()},
        "/users/{user_id}": {"delete": _delete_user()},
        "/api-keys": {"get": _list_keys(), "post": _create_key()},
        "/api-keys/{key_id}": {"delete": _revoke_key()},
    }


def _issue_token() -> dict[str, Any]:
    body = json_body(CREDENTIALS, example=CREDENTIALS_EXAMPLE)
    body["content"] |= {form: {"schema": CREDENTIALS_FORM} for form in FORMS}
    return operation(
        "issue-token",
        "Account",
        "Get a short-lived token",
        {"200": answer("Send it as `Authorization: Bearer …`.", TOKEN, example=TOKEN_EXAMPLE)},
        body=body,
        refused=BODY_REFUSALS,
        security=[],
    )


def _register(*, is_open: bool) -> dict[str, Any]:
    body = taken({"username": TEXT, "email": {"type": "string", "format": "email"}, "password": PASSWORD})
    return operation(
        "register",
        "Account",
        "Register a user",
        {"201": answer("The user. A welcome e-mail goes out as a job.", ref("User"))},
        description="Anybody may." if is_open else "For admins: registration is closed.",
        body=json_body(body, example=CREDENTIALS_EXAMPLE | {"email": "alice@example.org"}),
        refused=(*BODY_REFUSALS, 403, 409),
        security=[{}, {"bearer": []}, {"cookie": []}] if is_open else None,
    )


def _show_me() -> dict[str, Any]:
    return operation("show-me", "Account", "Who am I", {"200": answer("Roles, limits and usage.", ME)})


def _delete_user() -> dict[str, Any]:
    return operation(
        "delete-user",
        "Account",
        "Remove a user, with keys and jobs",
        {"204": {"description": "The user is gone."}},
        description="Users may remove themselves, admins anybody.",
        parameters=(in_path("user_id", "The username, or `me`."),),
        refused=(403, 404, 409),
    )


def _list_keys() -> dict[str, Any]:
    return operation("list-api-keys", "Account", "List my API keys", {"200": answer("No secrets.", ref("ApiKeyPage"))})


def _create_key() -> dict[str, Any]:
    body = taken({"name": TEXT | {"maxLength": 100, "default": ""}}, optional=("name",))
    return operation(
        "create-api-key",
        "Account",
        "Make an API key",
        {"201": answer("With the key, this once: it can't be shown again.", ref("NewApiKey"))},
        body=json_body(body, example={"name": "laptop"}, required=False),
        refused=(*BODY_REFUSALS, 409),
    )


def _revoke_key() -> dict[str, Any]:
    return operation(
        "revoke-api-key",
        "Account",
        "Revoke an API key",
        {"204": {"description": "The key is dead within 5 s."}},
        parameters=(in_path("key_id", "As in the list."),),
        refused=(404, 409),
    )
