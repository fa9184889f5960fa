"""A user, and their record in the broker."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs.engine.broker.malformed import whole
from jobs.engine.times import read_time

ADMIN_ROLE, USER_ROLE = "admin", "user"


@dataclass(frozen=True)
class User:
    """A user, as their record was at one moment."""

    #: The name that they sign in with, in lower case.
    user_id: str
    email: str
    roles: tuple[str, ...]
    created_at: datetime
    request_count: int = 0
    last_request_at: datetime | None = None
    #: Distinguishes users of the same name over time: a credential is valid for one of them only.
    generation: str = field(default="", repr=False)
    #: Keys in the broker that exist as long as the credential of the request is valid.
    proofs: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_admin(self) -> bool:
        """True if the user is an administrator."""
        return ADMIN_ROLE in self.roles

    @classmethod
    def from_record(cls, user_id: str, record: Mapping[str, str]) -> User:
        """Read a record of the broker. Raises KeyError or ValueError if it is malformed."""
        if not record["generation"].isascii():  # a comparison in constant time needs ASCII
            raise ValueError("its generation is not ASCII")
        return cls(
            user_id=user_id,
            email=record["email"],
            roles=tuple(record["roles"].split(",")),
            created_at=read_time(record["created_at"]),
            request_count=whole(record.get("request_count")),
            last_request_at=_moment(record.get("last_request_at", "")),
            generation=record["generation"],
        )


def new_record(email: str, password_hash: str, roles: tuple[str, ...]) -> dict[str, str]:
    """Return the record of a new user, with a new generation."""
    return {
        "email": email,
        "email_key": email.casefold(),
        "password": password_hash,
        "roles": ",".join(roles),
        "created_at": datetime.now(UTC).isoformat(),
        "generation": secrets.token_hex(8),
    }


def _moment(moment: str) -> datetime | None:
    """Read a time: in seconds since 1970, as `admit` writes it, or in ISO 8601, as a submission does."""
    try:
        return datetime.fromtimestamp(int(moment), UTC) if moment.isdigit() else read_time(moment)
    except (ValueError, OverflowError):  # there was no request yet, or the field is malformed
        return None
