"""Let a request in: in the script that serves it, so that this costs no round trip of its own."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json

from .errors import Unauthenticated
from .rate import GCRA, Rate, refuse_if_early
from .users import User

#: A Lua function. What its caller proved themselves with may be remembered for some seconds, so it is looked at again.
#: Answers the microseconds by which the request comes too early; 0: it is in, and counted; -1: its caller is nobody.
#: Writes that fail are passed over: a broker that is out of memory still serves reads.
ADMIT = (
    GCRA
    + """
local function admit(admission)
    local user, generation, count, period, proofs = unpack(cjson.decode(admission))
    local record = 'wh:user:' .. user
    if redis.call('HGET', record, 'generation') ~= generation then return -1 end
    for _, proof in ipairs(proofs) do
        if redis.call('EXISTS', proof) == 0 then return -1 end
    end
    local early = charge('wh:rate:' .. user, count, period)
    if early == 0 then
        redis.pcall('HINCRBY', record, 'request_count', 1)
        redis.pcall('HSET', record, 'last_request_at', redis.call('TIME')[1])
    end
    return early
end
"""
)


@dataclass(frozen=True)
class Admission:
    """Who asks, by what proof, and how often they may."""

    user: User
    rate: Rate

    def as_json(self) -> bytes:
        """As `admit` reads it."""
        user, rate = self.user, self.rate
        return to_json([user.user_id, user.generation, rate.count, rate.period_seconds, user.proofs])


def refuse(early: int) -> None:
    """Raise what the answer of `admit` stands for.

    Raises:
        Unauthenticated: the user, or what they proved themselves with, is gone.
        RateLimited: they ask too often.
    """
    if early < 0:
        raise Unauthenticated("This credential was revoked, or its user has been removed.")
    refuse_if_early(early)
