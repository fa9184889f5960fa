"""Let a request in: in the script that serves it, so that this costs no round trip of its own."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json

from jobs.engine.errors import Unauthenticated

from .rate import Rate, refuse_if_early
from .users import User


@dataclass(frozen=True)
class Admission:
    """Who asks, by what proof, and how often they may."""

    user: User
    rate: Rate

    def as_json(self) -> bytes:
        """As `admit` reads it."""
        user, rate = self.user, self.rate
        return to_json([user.user_id, user.generation, rate.count, rate.period_seconds, user.proofs])


def refuse_if_gone(early: int) -> None:
    """Raise Unauthenticated if the script found that the user or the credential is gone."""
    if early < 0:
        raise Unauthenticated("This credential was revoked, or its user has been removed.")


def refuse(early: int) -> None:
    """Raise the refusal that the result of the script stands for.

    Raises:
        Unauthenticated: the user or the credential is gone.
        RateLimited: the user is over the rate limit.
    """
    refuse_if_gone(early)
    refuse_if_early(early)
