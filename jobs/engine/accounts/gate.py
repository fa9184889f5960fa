"""The gate: lets requests in, as often as their rate allows."""

from __future__ import annotations

from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.sources import opening
from jobs.engine.settings import Settings

from .admission import Admission, refuse_if_gone
from .rate import Meter, Rate
from .user import User

#: Registrations without credentials: each costs an argon2 hash.
STRANGERS_PER_ADDRESS = Rate(100, 600)


class Gate:
    """Counts requests by user, and registrations by address, on the broker's clock."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._rate = Rate(*settings.rate)
        self._meter = Meter(connection)
        self._admit: Any = connection.register_script(opening("admit") + "return admit(ARGV[1])")

    def admission(self, user: User) -> Admission:
        """Return what a script needs to let a request of this user in, and to count it."""
        return Admission(user, self._rate)

    @broker_errors()
    def count(self, user: User) -> int:
        """Count a request of a user, and return the microseconds by which it is over RATE_LIMIT; 0 within it.

        A request over the limit is not counted. The caller decides whether to refuse it.

        Raises:
            Unauthenticated: the user was removed, or the credential was revoked.
        """
        early: int = self._admit(args=[self.admission(user).as_json()])
        refuse_if_gone(early)
        return early

    def admit_stranger(self, address: str) -> None:
        """Count a registration without credentials. Raises RateLimited if there are too many from this address."""
        self._meter.charge(f"stranger:{address}", STRANGERS_PER_ADDRESS)
