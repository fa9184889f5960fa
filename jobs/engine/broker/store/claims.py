"""A claim: a job that a worker has taken, and all that the worker needs to run it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.broker.malformed import json_value
from jobs.engine.broker.references import resolve

from .calls import read_call
from .records import mapping, text

#: The fields of a job in the reply to its claim, in this order (claiming.lua).
CLAIMED = "data type user acts_for attempt attempts resumed deaths timeout positions meta start_seconds".split()


class UnreadableRecord(Exception):
    """The broker's record of a job can't be read: another program has written it."""


@dataclass(frozen=True)
class Order:
    """How to run a job, from its record."""

    func_name: str
    type_name: str
    user_id: str | None
    #: With results in the place of references.
    params: Any
    attempt: int
    attempts: int
    resumed: int
    #: Deaths of the job's process in a row.
    deaths: int
    #: Seconds; 0: the job type's.
    timeout: int
    checkpoint: dict[str, Any]
    positions: list[int]
    meta: dict[str, Any]
    #: Seconds after the claim in which the function must begin, because a rate counts it from then; None: any time.
    start_seconds: float | None = None


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds.

    `execution` is the fence: once another execution holds the job, everything that this one writes is refused.
    """

    job_id: str
    queue: str
    execution: str
    order: Order
    #: When the worker asked for it, as `time.monotonic` says.
    asked_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class ForeignClaim:
    """A job of plain RQ, which the claim has moved to RQ's intermediate list."""

    job_id: str
    queue: str
    execution: str
    #: Deaths of the job's process in a row.
    deaths: int = 0


@dataclass(frozen=True)
class Holding:
    """A job and the execution that holds it."""

    job_id: str
    execution: str
    #: Deaths of the job's process in a row, before this execution.
    deaths: int

    @classmethod
    def read(cls, job_id: bytes, execution: bytes, deaths: bytes | None) -> Holding:
        return cls(text(job_id), text(execution), counter(deaths))


def read_claim(reply: Sequence[Any], execution: str, asked_at: float) -> Claim | ForeignClaim:
    """Read a reply of claim.lua that holds a job.

    Raises:
        ReferenceUnresolved: a reference in its parameters has no value.
        UnreadableRecord: the message names the problem.
    """
    try:
        queue, job_id = reply[1].decode(), reply[2].decode()
        if reply[0] == b"foreign":
            return ForeignClaim(job_id, queue, execution, counter(reply[3]))
        fields = {name: value for name, value in zip(CLAIMED, reply[3], strict=True) if value is not None}
        return Claim(job_id, queue, execution, _order(fields, reply[4], reply[5:]), asked_at)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableRecord(f"{type(error).__name__}: {error}") from error


def _order(fields: dict[str, bytes], checkpoint: bytes, results: Sequence[Any]) -> Order:
    call = read_call(fields["data"])
    params = call.kwargs
    order = Order(
        func_name=call.func_name,
        type_name=fields["type"].decode(),
        user_id=(fields.get("acts_for") or fields["user"]).decode() or None,
        params=resolve(params, _results(results[0])) if results else params,
        attempt=int(fields.get("attempt", b"1")),
        attempts=int(fields.get("attempts", b"1")),
        resumed=int(fields.get("resumed", b"0")),
        deaths=counter(fields.get("deaths", b"0")),
        timeout=int(fields.get("timeout", b"0") or 0),
        checkpoint=json.loads(checkpoint or b"{}"),
        positions=json.loads(fields.get("positions", b"[]")),
        meta=_meta(fields.get("meta")),
        start_seconds=float(fields["start_seconds"]) if "start_seconds" in fields else None,
    )
    kinds = {"func_name": str, "checkpoint": dict, "positions": list}
    if wrong := [name for name, kind in kinds.items() if not isinstance(getattr(order, name), kind)]:
        raise TypeError(f"{wrong[0]} is {getattr(order, wrong[0])!r:.100}")
    return order


def _meta(stored: bytes | None) -> dict[str, Any]:
    """Return the progress that the job reported. A client of RQ may have saved it in another serializer."""
    value = json_value(stored)
    return value if isinstance(value, dict) else {}


def _results(entries: Sequence[Any]) -> dict[int, Any]:
    """Return the results that the parameters refer to, by step, without those that have expired."""
    return {
        int(step): json.loads(b64decode(mapping(found[0][1]).get("return_value", b"bnVsbA==")))
        for step, found in entries
        if found
    }


def counter(value: bytes | None) -> int:
    """Read a counter. In a job of plain RQ, the field may hold anything."""
    return int(value) if value and value.isdigit() and len(value) < 10 else 0
