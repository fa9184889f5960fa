"""Refuse requests that another site's page makes a signed-in browser send."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit

from flask import request

from jobs.engine.errors import Forbidden

from .browser_session import csrf_token

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: The endpoint of a form's files, from a browser without JavaScript (pages/submit.py).
UPLOAD_BY_FORM = "pages.upload"


def refuse_forgery() -> None:
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
