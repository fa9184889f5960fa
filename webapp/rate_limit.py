"""Count requests, and refuse those over their caller's rate limit: after every other refusal, before any effect.

A request is counted before its view runs, whatever comes of it. A view calls `admit` once it knows that nothing else is
wrong with the request.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response

from jobs.engine.accounts.admission import Admission
from jobs.engine.accounts.rate import refuse_if_early
from jobs.engine.accounts.user import User
from jobs.engine.errors import WorkhorseError

from .current import current_globals, current_request
from .services import services

#: Views whose own script counts the request and refuses it, in one round trip.
COUNTED_BY_SCRIPT = frozenset({"submissions.submit", "batches.submit", "pipelines.submit", "bulk.submit", "jobs.show"})


def install(app: Flask) -> None:
    """Count the requests that a view of COUNTED_BY_SCRIPT refuses before its script runs."""
    app.after_request(_count_refused)


def count(user: User) -> None:
    """Count the request of `user`, unless its view does.

    Raises:
        Unauthenticated: the user was removed, or their credential was revoked.
    """
    kept = current_globals()
    kept.rate_user = user
    if current_request().endpoint not in COUNTED_BY_SCRIPT:
        kept.microseconds_early = services().accounts.gate.count(user)


def admit(*checks: Callable[[], object]) -> None:
    """Refuse the request if it is over its caller's rate limit.

    An effect may find in its own atomic step that it can't be done (404, 409, 422). That refusal comes before this one,
    so `checks` make it: each raises what the effect would raise. Within the limit they are not needed, and not called.

    Raises:
        RateLimited
    """
    early = current_globals().get("microseconds_early", 0)
    if early > 0:
        for check in checks:
            check()
        refuse_if_early(early)


class _ByScript(Admission):
    """An admission that counts once a script gets it. What is refused before that is still to be counted."""

    def as_json(self) -> bytes:
        current_globals().microseconds_early = 0
        return super().as_json()


def admission() -> Admission:
    """Return what the script of a view in COUNTED_BY_SCRIPT needs to count the request."""
    return _ByScript(*services().accounts.gate.admission(current_globals().rate_user))


def _count_refused(response: Response) -> Response:
    kept = current_globals()
    if "rate_user" in kept and "microseconds_early" not in kept:
        try:
            services().accounts.gate.count(kept.rate_user)
        except WorkhorseError:
            pass  # the request has been refused already
    return response
