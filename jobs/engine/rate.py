"""Rates: how often something may happen, counted in the broker on the broker's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from .connection import broker_errors
from .errors import RateLimited

#: The generic cell rate algorithm, as one Lua function. A key holds the theoretical arrival time (µs)
#: of the next request: the whole `count` may come at once, then one every `period / count`.
#: Writing it may fail while the broker is out of memory: what failed is returned second, for the
#: caller to pass on or not.
GCRA = """
local function charge(key, count, period)
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local interval = period * 1000000 / count
    local arrival = math.max(tonumber(redis.call('GET', key) or 0), now)
    local early = arrival + interval - now - period * 1000000
    if early > 0 then return math.ceil(early), nil end
    local value = string.format('%.0f', arrival + interval)
    return 0, redis.pcall('SET', key, value, 'PX', math.ceil((arrival + interval - now) / 1000) + 1)
end
"""

# What can't be counted, such as a guess at a password, must not go on uncounted.
_CHARGE = (
    GCRA
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
        raise RateLimited(f"Too many requests; try again in {max(1, round(seconds))} s.", retry_after=seconds)


def _key(name: str) -> str:
    return f"wh:rate:{name}"
