from __future__ import annotations

import jwt
import pytest

from jobs.engine.accounts.tokens import LIFETIME_SECONDS, Tokens, token_key
from jobs.engine.errors import Unauthenticated

SIGNING_KEY = "s" * 32


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(SIGNING_KEY)


def forge(*, key: bytes | str | None = None, algorithm: str = "HS256", **changes: object) -> str:
    """Return a token like an issued one, with some claims changed; None removes a claim."""
    token, _ = Tokens(SIGNING_KEY).issue("alice", "generation")
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    signing_key = token_key(SIGNING_KEY) if key is None else key
    # PyJWT takes no key for "none", whatever its types say.
    return jwt.encode(claims, None if algorithm == "none" else signing_key, algorithm=algorithm)  # type: ignore[arg-type]


def test_an_issued_token_is_read_back(tokens: Tokens) -> None:
    token, seconds = tokens.issue("alice", "generation")
    claims = tokens.read(token)
    assert (claims.user_id, claims.generation, seconds) == ("alice", "generation", LIFETIME_SECONDS)


def test_each_token_is_different(tokens: Tokens) -> None:
    assert tokens.issue("alice", "generation") != tokens.issue("alice", "generation")


def test_a_token_with_the_right_claims_and_key_is_accepted(tokens: Tokens) -> None:
    assert tokens.read(forge()).user_id == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"},
        {"algorithm": "HS512"},
        {"key": b"x" * 32},
        {"key": SIGNING_KEY},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"iss": "another issuer"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": ["workhorse", "another service"]},
        {"aud": None},
        {"sub": None},
        {"gen": None},
        {"iat": 2**33},
    ],
    ids=str,
)
def test_a_forged_token_is_refused(tokens: Tokens, changes: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(forge(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", "a.b.c", "\ud800", "x" * 5_000])
def test_text_that_is_not_a_token_is_refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(token)
