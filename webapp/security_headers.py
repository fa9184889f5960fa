"""The headers that keep an answer harmless in a browser."""

from __future__ import annotations

from flask import Flask, Response, request

POLICY = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install(app: Flask) -> None:
    """Send them with every answer of `app`; a view may have set its own before."""
    app.after_request(_harden)


def allow_on_this_page(answer: Response, **sources: str) -> Response:
    """Widen the policy of one answer: `style_src="'unsafe-inline'"` adds that to what 'self' allows."""
    wider = {name.replace("_", "-"): f"'self' {source}" for name, source in sources.items()}
    answer.headers["Content-Security-Policy"] = _policy(POLICY | wider)
    return answer


def _harden(answer: Response) -> Response:
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Content-Security-Policy", _policy(POLICY))
    if request.endpoint != "static":
        # Answers are somebody's own, and change: nobody on the way may keep them.
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
