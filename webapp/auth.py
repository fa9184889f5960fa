"""Authenticate requests: every route needs a caller, except for those on the open list."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from flask import Flask, g, redirect, request, url_for
from werkzeug.wrappers import Response

from jobs.engine.accounts.user import User
from jobs.engine.errors import Forbidden, Unauthenticated

from . import browser_session, rate_limit
from .browser_session import session_secret
from .current import current_globals, current_request
from .forgery import refuse_forgery
from .services import services

#: The routes that need no credentials. All others are closed, even addresses that don't exist.
OPEN = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", "/api/v1/token"),
        ("GET", "/sign-in"),
        ("POST", "/sign-in"),
        ("GET", "/static/<path:filename>"),
    }
)
#: Streams also accept a ticket, because their clients in a browser can't send a header.
STREAMS = frozenset({"/api/v1/jobs/stream", "/api/v1/jobs/<job_id>/stream", "/api/v1/jobs/<job_id>/ws"})
#: Open if REGISTRATION is.
REGISTER = ("POST", "/api/v1/users")


def install(app: Flask) -> None:
    """Require a caller for every route of `app` that is not open. Its services must be installed."""
    browser_session.install(app)
    app.before_request(_require_caller)


def caller() -> User:
    """Return the authenticated user.

    Raises:
        Unauthenticated: the route is open, and the request has no credentials.
    """
    user = caller_if_any()
    if user is None:
        raise Unauthenticated
    return user


def caller_if_any() -> User | None:
    """Return the authenticated user; None on an open route."""
    return cast("User | None", current_globals().get("caller"))


def require_admin() -> User:
    """Return the authenticated administrator. Raises Forbidden for other users."""
    user = caller()
    if not user.is_admin:
        raise Forbidden("Only administrators may do this.")
    return user


def bearer_token() -> str | None:
    """Return the key or token in the header of an authenticated request."""
    header = request.headers.get("Authorization")
    return None if header is None else _bearer_token(header)


def credential_check() -> Callable[[], User]:
    """Return a function that checks the caller's credential again, even after the request.

    It returns the user, or raises Unauthenticated. Streams call it from time to time.
    """
    return cast("Callable[[], User]", g.credential_check)


def _require_caller() -> Response | None:
    if _is_open():
        return None
    try:
        user = _identify()
    except Unauthenticated:
        if _is_page_view():
            return redirect(url_for("sign_in.form", next=request.full_path.removesuffix("?")), 303)
        raise
    current_globals().caller = user
    rate_limit.count(user)
    return None


def _is_open() -> bool:
    received = current_request()
    rule = received.url_rule.rule if received.url_rule else None
    method = "GET" if received.method == "HEAD" else received.method
    if (method, rule) in OPEN:
        return True
    registers = (method, rule) == REGISTER and services().settings.registration == "open"
    return registers and "Authorization" not in request.headers and session_secret() is None


def _identify() -> User:
    """Return the user of the request. If the header is present it decides: a valid cookie does not replace it."""
    accounts = services().accounts
    if (header := current_request().environ.get("HTTP_AUTHORIZATION")) is not None:
        check = partial(accounts.bearers.authenticate, _bearer_token(header))
        user = check()
    elif "ticket" in request.args and request.url_rule is not None and request.url_rule.rule in STREAMS:
        check = partial(accounts.tickets.check, request.args["ticket"])
        user = _redeem_ticket()
    elif (secret := session_secret()) is not None:
        check = partial(accounts.sign_in.session_user, secret)
        user = check()
        refuse_forgery()
    else:
        raise Unauthenticated
    current_globals().credential_check = check
    return user


def _redeem_ticket() -> User:
    g.ticket = request.args["ticket"]
    return services().accounts.tickets.redeem(
        g.ticket,
        stream=request.path,
        job_id=str((request.view_args or {}).get("job_id", "")),
        resumes="Last-Event-ID" in request.headers,
    )


def _bearer_token(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    # WSGI decodes headers as Latin-1, but a configured key may hold any characters.
    return token.strip().encode("latin-1", "replace").decode("utf-8", "replace")


def _is_page_view() -> bool:
    """Return True for a page opened in a browser, which is sent to the sign-in page instead of getting a 401."""
    accepts = request.accept_mimetypes
    return (
        request.method in ("GET", "HEAD")
        and "Authorization" not in request.headers
        and not request.path.startswith("/api/")
        and accepts["text/html"] > accepts["application/json"]
    )
