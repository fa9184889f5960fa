"""Authenticate requests: every route needs a caller, except for those on the open list."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Request, g, redirect, request, session, url_for
from flask.globals import request_ctx
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.wrappers import Response

from jobs.engine.accounts.sessions import SESSION_LIFETIME_SECONDS
from jobs.engine.accounts.user import User
from jobs.engine.errors import Forbidden, Unauthenticated

from . import rate_limit
from .services import EXTENSION, Services, services

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

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: The endpoint of a form's files, from a browser without JavaScript (pages/submit.py).
UPLOAD_BY_FORM = "pages.upload"

#: Names in the session cookie.
_SECRET, _CSRF = "secret", "csrf"


class _Cookies(SecureCookieSessionInterface):
    """Flask's signed cookie. One that is set over https is sent over https only."""

    digest_method = staticmethod(sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # Most callers have a key and no cookie.
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Any) -> None:
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 (Flask names it)
        return request.is_secure


def install(app: Flask) -> None:
    """Require a caller for every route of `app` that is not open. Its services must be installed."""
    app.secret_key = cast(Services, app.extensions[EXTENSION]).settings.signing_key
    app.session_interface = _Cookies()
    app.config.update(
        SESSION_COOKIE_NAME="workhorse_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=SESSION_LIFETIME_SECONDS),
    )
    app.jinja_env.globals["csrf_token"] = csrf_token
    app.before_request(_require_caller)


# --- for views -------------------------------------------------------------------


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
    return cast("User | None", g.get("caller"))


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


def session_secret() -> str | None:
    """Return the secret of the browser's session, if it has one."""
    return cast("str | None", session.get(_SECRET))


def credential_check() -> Callable[[], User]:
    """Return a function that checks the caller's credential again, even after the request.

    It returns the user, or raises Unauthenticated. Streams call it from time to time.
    """
    return cast("Callable[[], User]", g.credential_check)


# --- browsers --------------------------------------------------------------------


def start_session(user: User, *, key: str | None = None) -> None:
    """Sign the browser in. A session opened with an API key ends with that key."""
    g.claimed_name = user.user_id  # for the audit log
    end_session()  # an earlier session, or one that an attacker planted, must not survive
    session[_SECRET] = services().accounts.sign_in.open_session(user, key=key)
    session[_CSRF] = secrets.token_urlsafe(32)


def end_session() -> None:
    """Sign the browser out, here and in the broker: copies of the cookie stop working."""
    secret = session.get(_SECRET)
    session.clear()
    if secret is not None:
        services().accounts.sign_in.close_session(secret)


def session_user() -> User | None:
    """Return the user of the session cookie, if it is valid. For open pages."""
    try:
        return services().accounts.sign_in.session_user(session[_SECRET]) if _SECRET in session else None
    except Unauthenticated:
        return None


def csrf_token() -> str:
    """Return the token that a form of this session sends as `csrf_token`, and a script as X-CSRF-Token."""
    return str(session.get(_CSRF, ""))


def refuse_foreign_origin(*, proof: bool = False) -> None:
    """Refuse a request from another site's page. With `proof`, refuse one that does not state its origin, too.

    Raises:
        Forbidden
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        raise Forbidden("This request was sent from another site.")
    # Only the host is compared: behind a proxy that ends TLS, the scheme seen here is not the browser's.
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise Forbidden("This request was sent from another site.")
    if proof and origin is None and site != "same-origin":
        raise Forbidden("This request does not say which site it was sent from.")


# --- authentication --------------------------------------------------------------


def _require_caller() -> Response | None:
    if _is_open():
        return None
    try:
        user = _identify()
    except Unauthenticated:
        if _is_page_view():
            return redirect(url_for("sign_in.form", next=request.full_path.removesuffix("?")), 303)
        raise
    g.caller = user
    rate_limit.count(user)
    return None


def _is_open() -> bool:
    received = request_ctx.request  # Flask's `request` proxy costs time at each access
    rule = received.url_rule.rule if received.url_rule else None
    method = "GET" if received.method == "HEAD" else received.method
    if (method, rule) in OPEN:
        return True
    registers = (method, rule) == REGISTER and services().settings.registration == "open"
    return registers and "Authorization" not in request.headers and _SECRET not in session


def _identify() -> User:
    """Return the user of the request. If the header is present it decides: a valid cookie does not replace it."""
    accounts = services().accounts
    if (header := request.headers.get("Authorization")) is not None:
        check = partial(accounts.bearers.authenticate, _bearer_token(header))
        user = check()
    elif "ticket" in request.args and request.url_rule is not None and request.url_rule.rule in STREAMS:
        check = partial(accounts.tickets.check, request.args["ticket"])
        user = _redeem_ticket()
    elif _SECRET in session:
        check = partial(accounts.sign_in.session_user, session[_SECRET])
        user = check()
        _refuse_forgery()
    else:
        raise Unauthenticated
    g.credential_check = check
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


def _refuse_forgery() -> None:
    """Require a CSRF token: the browser sends the cookie even if another site's page made the request.

    rq-dashboard's scripts have no token, and a form with files would have to be read whole to find it. These requests
    must prove their origin instead.
    """
    if request.method in SAFE_METHODS:
        return
    by_origin = request.blueprint == "rq_dashboard" or request.endpoint == UPLOAD_BY_FORM
    refuse_foreign_origin(proof=by_origin)
    if not by_origin and not _has_csrf_token():
        raise Forbidden("The CSRF token is missing or wrong; load the page again.")


def _has_csrf_token() -> bool:
    expected = csrf_token()
    return bool(expected) and hmac.compare_digest(_sent_csrf_token().encode(), expected.encode())


def _sent_csrf_token() -> str:
    if "X-CSRF-Token" in request.headers:
        return request.headers["X-CSRF-Token"]
    # Not from a multipart body: reading the field would read the whole upload.
    form: Any = request.form if request.mimetype == "application/x-www-form-urlencoded" else {}
    return str(form.get("csrf_token", ""))


def _is_page_view() -> bool:
    """Return True for a page opened in a browser, which is sent to the sign-in page instead of getting a 401."""
    accepts = request.accept_mimetypes
    return (
        request.method in ("GET", "HEAD")
        and "Authorization" not in request.headers
        and not request.path.startswith("/api/")
        and accepts["text/html"] > accepts["application/json"]
    )
