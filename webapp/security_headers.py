"""Add the security headers to every response."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

POLICY = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}


def install(app: Flask) -> None:
    """Add the headers to every response of `app`, unless the view has set them."""
    app.wsgi_app = _Hardened(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation shows


class _Hardened:
    """A WSGI application with the headers. At this level headers are a list, to which adding is cheap."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            present = _HEADERS.keys() & [name.lower() for name, _ in headers]
            missing = [header for name, header in _HEADERS.items() if name not in present] if present else _ALL
            return start_response(status, headers + missing, *error)

        return self._application(environ, start)


def allow_on_this_page(response: Response, **sources: str) -> Response:
    """Widen the policy of one response: `style_src="'unsafe-inline'"` allows that besides 'self'."""
    wider = {name.replace("_", "-"): f"'self' {source}" for name, source in sources.items()}
    response.headers["Content-Security-Policy"] = _policy(POLICY | wider)
    return response


def _policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


_HEADERS = {
    name.lower(): (name, value)
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": _policy(POLICY),
        # Responses belong to one user and change: proxies must not cache them.
        "Cache-Control": "no-store",
    }.items()
}
_ALL = list(_HEADERS.values())
#: The headers of a response that sets none of them itself.
ON_EVERY_RESPONSE = frozenset(_ALL)
