"""The session of a browser that has signed in: a signed cookie, which names a session in the broker."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any, cast

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from jobs.engine.accounts.sessions import SESSION_LIFETIME_SECONDS
from jobs.engine.accounts.user import User
from jobs.engine.errors import Unauthenticated

from .services import EXTENSION, Services, services

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
    """Sign and read the cookies of `app`, whose services must be installed."""
    app.secret_key = cast(Services, app.extensions[EXTENSION]).settings.signing_key
    app.session_interface = _Cookies()
    app.config.update(
        SESSION_COOKIE_NAME="workhorse_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=SESSION_LIFETIME_SECONDS),
    )
    app.jinja_env.globals["csrf_token"] = csrf_token


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


def session_secret() -> str | None:
    """Return the secret of the browser's session, if it has one."""
    return cast("str | None", session.get(_SECRET))
