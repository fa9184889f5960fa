"""What a worker is told of a job that it has claimed."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.engine.broker.references import resolve

from .records import mapping, text


class UnreadableRecord(Exception):
    """The broker's record of a job is not one that this engine writes."""


@dataclass(frozen=True)
class Order:
    """What is to be run, as the job's record says it."""

    func_name: str
    type_name: str
    user_id: str | None
    #: With results in the place of references to them.
    params: Any
    attempt: int
    attempts: int
    resumed: int
    #: Deaths of the job's process in a row.
    deaths: int
    #: Seconds; 0: what the job type says.
    timeout: int
    checkpoint: dict[str, Any]
    positions: list[int]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds. `execution` is the fence: what it writes is refused once another holds the job."""

    job_id: str
    queue: str
    execution: str
    order: Order


@dataclass(frozen=True)
class ForeignClaim:
    """A job that was not submitted through Workhorse, moved to RQ's intermediate list."""

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


def read_claim(answer: Sequence[Any], execution: str) -> Claim | ForeignClaim:
    """Read an answer of claim.lua that holds a job.

    Raises:
        ReferenceUnresolved: its parameters refer to what is not there.
        UnreadableRecord: naming what could not be read.
    """
    try:
        queue, job_id = answer[1].decode(), answer[2].decode()
        if answer[0] == b"foreign":
            return ForeignClaim(job_id, queue, execution, counter(answer[3]))
        return Claim(job_id, queue, execution, _order(mapping(answer[3]), answer[4], answer[5:]))
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableRecord(f"{type(error).__name__}: {error}") from error


def _order(fields: dict[str, bytes], checkpoint: bytes, results: Sequence[Any]) -> Order:
    func_name, _instance, _args, params = json.loads(fields["data"])
    order = Order(
        func_name=func_name,
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
        meta=json.loads(fields.get("meta", b"{}")),
    )
    kinds = {"func_name": str, "checkpoint": dict, "positions": list, "meta": dict}
    if wrong := [name for name, kind in kinds.items() if not isinstance(getattr(order, name), kind)]:
        raise TypeError(f"{wrong[0]} is {getattr(order, wrong[0])!r:.100}")
    return order


def _results(entries: Sequence[Any]) -> dict[int, Any]:
    """By step, the results that the parameters refer to, from entries of RQ's results; what is gone is left out."""
    return {
        int(step): json.loads(b64decode(mapping(found[0][1]).get("return_value", b"bnVsbA==")))
        for step, found in entries
        if found
    }


def counter(value: bytes | None) -> int:
    """Read a counter of ours. A job of plain RQ may have anything in its place."""
    return int(value) if value and value.isdigit() and len(value) < 10 else 0
