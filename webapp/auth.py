"""Who is calling: every request needs a caller, the few on the open list aside."""

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

#: All that answers without credentials. Whatever is not named here is closed, also what doesn't exist.
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
#: Streams, whose clients in a browser can't send a header: they are opened with a ticket, too.
STREAMS = frozenset({"/api/v1/jobs/stream", "/api/v1/jobs/<job_id>/stream", "/api/v1/jobs/<job_id>/ws"})
#: Open, too, if REGISTRATION is.
REGISTER = ("POST", "/api/v1/users")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: Where a form sends its files from a browser without JavaScript (pages/submit.py).
UPLOAD_BY_FORM = "pages.upload"

#: Names in the session cookie.
_SECRET, _CSRF = "secret", "csrf"


class _Cookies(SecureCookieSessionInterface):
    """Flask's signed cookie, for https alone once it was set over https."""

    digest_method = staticmethod(sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # Most callers have a key and no cookie; there is nothing to read then.
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Any) -> None:
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 (Flask names it)
        return request.is_secure


def install(app: Flask) -> None:
    """Close `app`, whose services are in place."""
    held = cast(Services, app.extensions[EXTENSION])
    app.secret_key = held.settings.signing_key
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
    """The user who calls.

    Raises:
        Unauthenticated: if nobody has to be signed in for this request, and nobody is.
    """
    user = caller_if_any()
    if user is None:
        raise Unauthenticated
    return user


def caller_if_any() -> User | None:
    """The user who calls, if the request came through the closed door."""
    return cast("User | None", g.get("caller"))


def require_admin() -> User:
    """The administrator who calls. Raises Forbidden if it is somebody else."""
    user = caller()
    if not user.is_admin:
        raise Forbidden("Only administrators may do this.")
    return user


def bearer_token() -> str | None:
    """The key or token in the header of a request that came through the door."""
    header = request.headers.get("Authorization")
    return None if header is None else _bearer_token(header)


def session_secret() -> str | None:
    """The secret of the browser's session, if there is one."""
    return cast("str | None", session.get(_SECRET))


def credential_check() -> Callable[[], User]:
    """What tells later, also outside the request, whether the caller's credential is still good.

    A stream calls it now and then: it returns the user, or raises Unauthenticated.
    """
    return cast("Callable[[], User]", g.credential_check)


# --- browsers --------------------------------------------------------------------


def start_session(user: User, *, key: str | None = None) -> None:
    """Sign the browser in. A session opened with an API key ends with that key."""
    g.claimed_name = user.user_id  # for the audit log
    end_session()  # nothing of an earlier one, and nothing that an attacker planted, lives on
    session[_SECRET] = services().accounts.sign_in.open_session(user, key=key)
    session[_CSRF] = secrets.token_urlsafe(32)


def end_session() -> None:
    """Sign the browser out, here and in the broker: a copy of the cookie is worth nothing then."""
    secret = session.get(_SECRET)
    session.clear()
    if secret is not None:
        services().accounts.sign_in.close_session(secret)


def session_user() -> User | None:
    """The user of the session cookie, if there is a good one. For pages that are open to strangers."""
    try:
        return services().accounts.sign_in.session_user(session[_SECRET]) if _SECRET in session else None
    except Unauthenticated:
        return None


def csrf_token() -> str:
    """What a form of this session sends as `csrf_token`, or a script as X-CSRF-Token."""
    return str(session.get(_CSRF, ""))


def refuse_foreign_origin(*, proof: bool = False) -> None:
    """Refuse what another site's page sent. With `proof`, also what doesn't say where it comes from.

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


# --- the door --------------------------------------------------------------------


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
    asked = request_ctx.request  # itself: each look through Flask's `request` costs
    rule = asked.url_rule.rule if asked.url_rule else None
    method = "GET" if asked.method == "HEAD" else asked.method
    if (method, rule) in OPEN:
        return True
    registers = (method, rule) == REGISTER and services().settings.registration == "open"
    return registers and "Authorization" not in request.headers and _SECRET not in session


def _identify() -> User:
    """The header decides if there is one: with a bad one, a good cookie doesn't help."""
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
    # WSGI hands headers over as Latin-1; a configured key may hold anything.
    return token.strip().encode("latin-1", "replace").decode("utf-8", "replace")


def _refuse_forgery() -> None:
    """A cookie comes along whoever made the browser send the request: ask for what only our own pages know.

    rq-dashboard's scripts don't know it, and to look for it among a form's files would be to read them all. Those
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
    # Never out of a multipart body: that would read a whole upload to find one field.
    form: Any = request.form if request.mimetype == "application/x-www-form-urlencoded" else {}
    return str(form.get("csrf_token", ""))


def _is_page_view() -> bool:
    """Whether somebody looks at a page in a browser, who is better served with the sign-in page than with a 401."""
    accepts = request.accept_mimetypes
    return (
        request.method in ("GET", "HEAD")
        and "Authorization" not in request.headers
        and not request.path.startswith("/api/")
        and accepts["text/html"] > accepts["application/json"]
    )
