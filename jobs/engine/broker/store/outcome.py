"""The outcome of an execution: what its end means for the job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Scheduled to run again after a delay.
    RETRYING = "retrying"
    #: Put back at the head of its queue, to continue from its checkpoint. No attempt is charged.
    RESUMED = "resumed"


@dataclass(frozen=True)
class Outcome:
    """What the finish script does with a job. A field that has no meaning for its kind keeps its default."""

    kind: OutcomeKind
    #: A message that is safe to show, and its class or code.
    error: str | None = None
    error_type: str | None = None
    #: The traceback and the result as RQ stores them (rq/results.py, 2.12.0); empty: none.
    trace: str = ""
    result: str = ""
    #: RQ's meta of a completed job, as JSON.
    meta: str = "{}"
    #: Why the job is resumed.
    reason: str | None = None
    delay_seconds: float = 0.0
    #: False: the retry starts the same attempt again.
    charged: bool = True
    #: Deaths of the job's process in a row, this one included; 0 if the execution ended in any other way.
    deaths: int = 0
