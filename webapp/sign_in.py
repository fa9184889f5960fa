"""Sign in and out with a browser: with a password, an API key, or the link printed at start-up."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from jobs.engine.accounts.user import User
from jobs.engine.errors import RateLimited, Unauthenticated

from . import body
from .browser_session import end_session, session_user, start_session
from .forgery import refuse_foreign_origin
from .problems import status_of
from .rate_limit import admit
from .services import services

blueprint = Blueprint("sign_in", __name__)

MAX_BODY_BYTES = 8_192

#: A path of this site. Browsers read `//host` and `/\host` as other sites, and drop tabs and line breaks.
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@blueprint.after_request
def _send_origin(response: Response) -> Response:
    """Allow the Origin header: with `no-referrer`, browsers send `Origin: null` with our own forms."""
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@blueprint.get("/sign-in")
def form() -> Response:
    # A HEAD request, as link checkers and chats send it, must not use up the link.
    if "token" in request.args and request.method == "GET":
        return _follow_link(request.args["token"])
    return Response(_page(), content_type="text/html; charset=utf-8")


@blueprint.post("/sign-in")
def sign_in() -> Response:
    refuse_foreign_origin()
    key = body.form(MAX_BODY_BYTES).get("api_key", "").strip()
    try:
        start_session(_user(key), key=key or None)
    except (Unauthenticated, RateLimited) as error:
        return _refusal(error)
    return redirect(_destination(), 303)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    admit()
    end_session()
    return redirect(url_for("sign_in.form"), 303)


def _follow_link(token: str) -> Response:
    try:
        start_session(services().accounts.sign_in.redeem_link(token))
    except Unauthenticated as error:
        if session_user() is None:
            return _refusal(error)
        # The link was used before by this browser, which is signed in already.
    return redirect(_destination(), 303)


def _user(key: str) -> User:
    accounts = services().accounts
    if key:
        return accounts.bearers.key_user(key)
    name, password = request.form.get("username", ""), request.form.get("password", "")
    return accounts.sign_in.check_password(name, password, address=request.remote_addr)


def _refusal(error: Unauthenticated | RateLimited) -> Response:
    response = Response(_page(error.message), status_of(error), content_type="text/html; charset=utf-8")
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    else:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _page(message: str | None = None) -> str:
    return render_template("sign_in.html", message=message, next=_destination(), username=request.form.get("username"))


def _destination() -> str:
    wanted = request.values.get("next", "/")
    return wanted if _OWN_PATH.fullmatch(wanted) else "/"
