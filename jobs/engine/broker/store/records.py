"""Read the records that scripts return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobs.engine.broker import malformed


class Record(NamedTuple):
    """A job's record in the broker. A named tuple, since every poll makes one."""

    job_id: str
    fields: dict[str, bytes]
    #: The last entry of RQ's results; empty if the job has none.
    result: dict[str, bytes]
    #: How many jobs its queue has popped.
    popped: int
    #: The broker's time, in seconds since 1970.
    now: float
    #: Why no worker takes it, although it is ready: paused, suspended, no_worker; empty if one does.
    obstacle: str = ""
    #: When the limit that the job waits for is free again, in seconds since 1970; None if that is not known.
    free_at: float | None = None
    #: The most jobs of its owner that run at once; 0: no limit, or not needed.
    user_limit: int = 0

    @classmethod
    def read(cls, found: Sequence[Any]) -> Record:
        """Read a job as record.lua returns it."""
        job_id, fields, result, popped, now, obstacle, *waits = found
        free_at, user_limit = waits or (b"", b"0")
        return cls(
            malformed.text(job_id),
            mapping(fields),
            mapping(result),
            malformed.whole(popped),
            float(now),
            text(obstacle),
            float(free_at) if free_at else None,
            malformed.whole(user_limit),
        )


def mapping(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return a hash, which scripts return as names and values in turn."""
    return {name.decode("utf-8", "replace"): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def as_stored(fields: dict[str, Any]) -> dict[str, bytes]:
    """Return fields that were sent to the broker as it returns them."""
    return {name: value if isinstance(value, bytes) else str(value).encode() for name, value in fields.items()}


def text(value: bytes) -> str:
    return value.decode()
