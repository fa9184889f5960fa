"""Admission of a request by the script that serves it, without another round trip."""

from __future__ import annotations

from typing import NamedTuple

from pydantic_core import to_json

from jobs.engine.errors import Unauthenticated

from .rate import Rate, refuse_if_early
from .user import User


class Admission(NamedTuple):
    """A request's user, the credential that proves it, and the rate that they may send requests at."""

    user: User
    rate: Rate

    def as_json(self) -> bytes:
        """Return the form that `admit` reads."""
        user, rate = self.user, self.rate
        return to_json([user.user_id, user.generation, rate.count, rate.period_seconds, user.proofs])


def refuse_if_gone(early: int) -> None:
    """Raise Unauthenticated if the script found that the user or the credential is gone."""
    if early < 0:
        raise Unauthenticated("This credential was revoked, or its user has been removed.")


def refuse(early: int) -> None:
    """Raise the refusal that the script has returned.

    Raises:
        Unauthenticated: the user or the credential is gone.
        RateLimited: the user is over the rate limit.
    """
    refuse_if_gone(early)
    refuse_if_early(early)
