"""Rate limits, counted in the broker and on its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.sources import opening
from jobs.engine.errors import RateLimited

# If a guess at a password can't be counted, it must not be made.
_CHARGE = (
    opening("charge")
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
    """A limit of `count` times in `period_seconds`."""

    count: int
    period_seconds: float


class Meter:
    """Counts events by name, such as failed sign-ins from an address."""

    def __init__(self, connection: redis.Redis) -> None:
        self._charge: Any = connection.register_script(_CHARGE)
        self._refund: Any = connection.register_script(_REFUND)

    @broker_errors()
    def charge(self, name: str, rate: Rate) -> None:
        """Count one event.

        Raises:
            RateLimited: `rate` does not allow it; the event is not counted.
        """
        refuse_if_early(self._charge(keys=[_key(name)], args=[rate.count, rate.period_seconds]))

    @broker_errors()
    def refund(self, name: str, rate: Rate) -> None:
        """Take back one counted event."""
        self._refund(keys=[_key(name)], args=[rate.count, rate.period_seconds])


def refuse_if_early(microseconds: int) -> None:
    """Raise RateLimited if a request came too early by the given microseconds."""
    if microseconds > 0:
        seconds = microseconds / 1e6
        raise RateLimited(
            f"You have sent too many requests; try again in {max(1, round(seconds))} s.", retry_after=seconds
        )


def _key(name: str) -> str:
    return f"wh:rate:{name}"
