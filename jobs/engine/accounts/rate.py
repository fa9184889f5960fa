"""Rates: how often something may happen, counted in the broker on the broker's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.sources import library
from jobs.engine.errors import RateLimited

# What can't be counted, such as a guess at a password, must not go on uncounted.
_CHARGE = (
    library("charge")
    + """
local early, written = charge(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
if type(written) == 'table' and written.err then return written end
return early
"""
)

_REFUND = """
local arrival = redis.call('GET', KEYS[1])
if arrival then
    local earlier = string.format('%.0f', tonumber(arrival) - tonumber(ARGV[2]) * 1000000 / tonumber(ARGV[1]))
    redis.pcall('SET', KEYS[1], earlier, 'KEEPTTL')
end
"""


@dataclass(frozen=True)
class Rate:
    """`count` times in `period_seconds`."""

    count: int
    period_seconds: float


class Meter:
    """Counts what happens under a name, such as failed sign-ins from an address."""

    def __init__(self, connection: redis.Redis) -> None:
        self._charge: Any = connection.register_script(_CHARGE)
        self._refund: Any = connection.register_script(_REFUND)

    @broker_errors()
    def charge(self, name: str, rate: Rate) -> None:
        """Count one.

        Raises:
            RateLimited: if that is more than `rate` allows; it is not counted then.
        """
        refuse_if_early(self._charge(keys=[_key(name)], args=[rate.count, rate.period_seconds]))

    @broker_errors()
    def refund(self, name: str, rate: Rate) -> None:
        """Take back one that was counted."""
        self._refund(keys=[_key(name)], args=[rate.count, rate.period_seconds])


def refuse_if_early(microseconds: int) -> None:
    """Raise RateLimited if the answer of the script says that the request came too early."""
    if microseconds > 0:
        seconds = microseconds / 1e6
        raise RateLimited(
            f"You have sent too many requests; try again in {max(1, round(seconds))} s.", retry_after=seconds
        )


def _key(name: str) -> str:
    return f"wh:rate:{name}"
