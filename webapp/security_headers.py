"""The headers that keep an answer harmless in a browser."""

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
    """Send them with every answer of `app`; a view may have set its own before."""
    app.wsgi_app = _Hardened(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation has it


class _Hardened:
    """A WSGI application whose answers carry the headers. At that level they are a list, and adding to it is cheap."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            missing = [_HEADERS[name] for name in _HEADERS if name not in present]
            return start_response(status, headers + missing, *error)

        return self._application(environ, start)


def allow_on_this_page(answer: Response, **sources: str) -> Response:
    """Widen the policy of one answer: `style_src="'unsafe-inline'"` adds that to what 'self' allows."""
    wider = {name.replace("_", "-"): f"'self' {source}" for name, source in sources.items()}
    answer.headers["Content-Security-Policy"] = _policy(POLICY | wider)
    return answer


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
        # Answers are somebody's own, and change: nobody on the way may keep them.
        "Cache-Control": "no-store",
    }.items()
}
