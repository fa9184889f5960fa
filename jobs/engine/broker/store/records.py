"""The records of the broker, as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.engine.broker import malformed


@dataclass(frozen=True)
class Record:
    """A job as the broker has it: RQ's hash, the last entry of RQ's results, its queue's counter, the broker's time."""

    job_id: str
    fields: dict[str, bytes]
    result: dict[str, bytes]
    popped: int
    now: float

    @classmethod
    def read(cls, found: Sequence[Any]) -> Record:
        """Read what record.lua returns of a job."""
        job_id, fields, result, popped, now = found
        return cls(malformed.text(job_id), mapping(fields), mapping(result), malformed.whole(popped), float(now))


def mapping(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return a hash that a script has returned as names and values in turn."""
    return {malformed.text(flat[place]): flat[place + 1] for place in range(0, len(flat), 2)}


def text(value: bytes) -> str:
    return value.decode()
