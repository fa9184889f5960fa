"""The assignment: the job that a worker sends to its horse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Assignment:
    job_id: str
    func_name: str
    user_id: str | None
    params: Any
    attempt: int
    resumed: int
    timeout_seconds: int
    checkpoint: dict[str, Any]
    #: Of resumable loops.
    positions: list[int]
    #: RQ's meta, which holds the progress of an execution that is resumed.
    meta: dict[str, Any]
    #: When the function must have begun, as `time.monotonic` says on this machine; None: at any time.
    start_before: float | None = None
    #: The process may get another job after this one.
    stay: bool = False

    def as_message(self) -> dict[str, Any]:
        return vars(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Assignment:
        return cls(**message)
