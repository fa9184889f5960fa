"""Signed tokens: short-lived credentials that contain their user."""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

from jobs.engine.errors import Unauthenticated

LIFETIME_SECONDS = 3600
#: The most that the clocks of two web hosts may differ.
LEEWAY_SECONDS = 10

ALGORITHM = "HS256"
NAME = "workhorse"
CLAIMS = ("aud", "exp", "iat", "iss", "jti", "sub", "gen")


@dataclass(frozen=True)
class Claims:
    """The content of a token."""

    user_id: str
    #: The `User.generation` when it was issued: a later user of the same name has another one.
    generation: str
    expires_at: float


def token_key(signing_key: str) -> bytes:
    """Derive the key that signs tokens. It differs from the one that signs session cookies, which can't sign tokens."""
    return hmac.digest(signing_key.encode(), b"workhorse access token", "sha512")


class Tokens:
    """Issues tokens, and reads them back."""

    def __init__(self, signing_key: str) -> None:
        self._key = token_key(signing_key)

    def issue(self, user_id: str, generation: str) -> tuple[str, int]:
        """Sign a token. Return it with its lifetime in seconds."""
        import jwt  # here, because a process starts faster without it

        now = int(time.time())
        claims = {
            "aud": NAME,
            "iss": NAME,
            "sub": user_id,
            "gen": generation,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM), LIFETIME_SECONDS

    def read(self, token: str) -> Claims:
        """Check a token's signature, audience, issuer and times.

        Raises:
            Unauthenticated: one of them is wrong.
        """
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=NAME,
                issuer=NAME,
                leeway=LEEWAY_SECONDS,
                options={"require": list(CLAIMS), "strict_aud": True},
            )
            return Claims(str(claims["sub"]), str(claims["gen"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated("This token is not valid, or has expired; POST /api/v1/token issues one.") from error
