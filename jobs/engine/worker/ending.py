"""The end of an attempt as its own process reports it to the worker.

It imports nothing of the broker: horses are copies of a process that has not loaded the broker's client.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobs.engine.errors import MAX_LATER_SECONDS, JobTimeout


class EndingKind(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: The function asked to run again later.
    LATER = "later"
    #: The function did not begin, because a rate would have counted it too early.
    TOO_LATE = "too_late"


@dataclass(frozen=True)
class Ending:
    kind: EndingKind
    #: The result and the traceback as RQ stores them (rq/results.py, 2.12.0); empty: none.
    result: str = ""
    trace: str = ""
    #: A message that is safe to show, and its class or code.
    error: str = ""
    error_type: str = ""
    #: The retry policy covers the error.
    retryable: bool = False
    #: No retry can help, whatever the policy.
    fatal: bool = False
    #: Until the job runs again, if it asked for that.
    delay_seconds: float = 0.0

    def as_message(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Ending:
        """Read a message of `as_message`.

        Raises:
            KeyError, TypeError, ValueError: it is another message. A function may write to the channel itself.
        """
        if wrong := [name for name, value in message.items() if not isinstance(value, _TYPES[name])]:
            raise TypeError(f"{wrong[0]}={message[wrong[0]]!r}")
        ending = cls(**message | {"kind": EndingKind(message["kind"])})
        if not 0 <= ending.delay_seconds <= MAX_LATER_SECONDS:
            raise ValueError(f"delay_seconds={ending.delay_seconds!r}")
        return ending


_TYPES: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "result": str,
    "trace": str,
    "error": str,
    "error_type": str,
    "retryable": bool,
    "fatal": bool,
    "delay_seconds": (int, float),
}


def timed_out(seconds: int) -> JobTimeout:
    """Return the error of an attempt that took longer than its timeout. The horse or its worker notices first."""
    return JobTimeout(f"The job took longer than its timeout of {seconds} s.")
