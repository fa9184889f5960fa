"""What becomes of an attempt: from how it ended to what the finish script is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.errors import JobTimeout

from .attempt import timeout_message


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, as its worker saw it."""

    job_type: JobType
    attempt: int
    max_attempts: int
    timeout: int
    #: What the horse said of its end; None: it ended without a word.
    told: dict[str, Any] | None
    #: Why the worker ended the horse, if it did.
    killed_for: str | None
    #: The worker is to stop.
    stopping: bool
    memory_limit: int


def decided(ending: Ending) -> dict[str, Any] | None:
    """The outcome for the finish script, or None if the process died without a word."""
    told = ending.told or _said_by_the_worker(ending)
    if told is None:
        return None
    outcome = {name: value for name, value in told.items() if name not in ("retryable", "fatal")}
    if outcome["kind"] == "later":
        return outcome | {"kind": "retrying", "uncharged": True}
    if outcome["kind"] != "failed" or told.get("fatal"):
        return outcome
    if ending.stopping:
        # Its children were told to stop as well, or the network was taken away: not its own failure.
        return {"kind": "resumed", "reason": "shutdown"}
    if told.get("retryable") and ending.attempt < ending.max_attempts:
        assert ending.job_type.retry is not None
        return outcome | {"kind": "retrying", "delay": ending.job_type.retry.seconds_before(ending.attempt)}
    return outcome


def died(how: str) -> dict[str, Any]:
    """The outcome of an attempt whose process ended without a word. The third in a row is its last."""
    return {
        "kind": "died",
        "reason": "worker_lost",
        "error": f"The process that ran this job ended without a word ({how}), three times running.",
        "error_type": "worker_lost",
    }


def _said_by_the_worker(ending: Ending) -> dict[str, Any] | None:
    if ending.killed_for == "cancelled":
        return {"kind": "cancelled"}
    if ending.killed_for == "shutdown":
        return {"kind": "resumed", "reason": "shutdown"}
    if ending.killed_for == "timeout":
        return _too_slow(ending, timeout_message(ending.timeout))
    if ending.killed_for == "stalled":
        return _too_slow(ending, f"The job made no progress for {ending.job_type.stall_timeout:g} s (stall_timeout).")
    if ending.killed_for == "memory_limit":
        message = f"The job used more than its {ending.memory_limit:,} bytes of memory (MAX_JOB_MEMORY_BYTES)."
        return {"kind": "failed", "error": message, "error_type": "memory_limit", "fatal": True}
    return None


def _too_slow(ending: Ending, message: str) -> dict[str, Any]:
    policy = ending.job_type.retry
    retryable = policy is not None and policy.applies_to(JobTimeout(message))
    return {"kind": "failed", "error": message, "error_type": ending.killed_for, "retryable": retryable}
