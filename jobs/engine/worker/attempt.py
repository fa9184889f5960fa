"""The attempt as a work horse performs it: call the function, and report how it ended."""

from __future__ import annotations

import base64
import os
import signal
import zlib
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from jobs.engine.author import running
from jobs.engine.author.reporting import Progress
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import (
    MAX_LATER_SECONDS,
    Fatal,
    InvalidParameters,
    ResultInvalid,
    ResultTooLarge,
    RetryLater,
)
from jobs.engine.settings import Settings

from .assignment import Assignment
from .ending import Ending, EndingKind, timed_out
from .failure import describe
from .horse import CANCEL_SIGNAL, SocketChannel, flush_output

#: Errors that no retry can fix, whatever the policy.
_FINAL = (Fatal, InvalidParameters, ResultInvalid, ResultTooLarge)


def perform(channel: SocketChannel, catalogue: Catalogue, settings: Settings) -> None:
    """Read one job from the channel, run it, and send how it ended."""
    assignment = Assignment.from_message(channel.read())
    job_type = catalogue.by_function(assignment.func_name)
    assert job_type is not None, "the worker checks this before it sends a job"
    attempt = _attempt(channel, assignment, job_type)
    running.begin(attempt)
    _listen_for_cancel(attempt)
    horse = os.getpid()
    ending = run(job_type, assignment, settings)
    if os.getpid() != horse:
        # A child that the function forked has returned from it. Only its parent reports how the attempt ended.
        flush_output()
        os._exit(0 if ending.kind is EndingKind.COMPLETED else 1)
    running.end()
    attempt.flush()
    flush_output()
    channel.send({"ending": ending.as_message()})


def _attempt(channel: SocketChannel, assignment: Assignment, job_type: JobType) -> running.Attempt:
    job = running.CurrentJob(
        assignment.job_id, job_type.name, assignment.user_id, assignment.attempt, assignment.resumed
    )
    progress = Progress.from_meta(assignment.meta) if assignment.meta else None
    return running.Attempt(job, channel, assignment.checkpoint, progress=progress, positions=assignment.positions)


def _listen_for_cancel(attempt: running.Attempt) -> None:
    def note(_signum: int, _frame: FrameType | None) -> None:
        attempt.request_cancel()

    signal.signal(CANCEL_SIGNAL, note)


def run(job_type: JobType, assignment: Assignment, settings: Settings) -> Ending:
    """Call the job's function. Whatever it raises is an ending."""
    try:
        args, kwargs = job_type.parameters.bind(assignment.params)
        value = _within(assignment.timeout_seconds, job_type.function, args, kwargs)
        return _completed(job_type.result.dump(value), settings)
    except running.Cancelled:
        return Ending(EndingKind.CANCELLED)
    except BaseException as error:  # noqa: BLE001 - even SystemExit: whatever ends a function ends its attempt
        return _failed(error, job_type, settings)


def _within(seconds: int, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call the function, and raise JobTimeout in it after `seconds`.

    The worker kills a function that does not react, such as a loop in C. rq.timeouts (2.12.0) does the same as this,
    but importing it imports rq and redis: 21 MB more to copy for every fork.
    """

    def time_is_up(_signum: int, _frame: FrameType | None) -> None:
        raise timed_out(seconds)

    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*args, **kwargs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _completed(result: str, settings: Settings) -> Ending:
    encoded = result.encode()
    if len(encoded) > settings.max_result_bytes:
        raise ResultTooLarge(
            f"The result has {len(encoded):,} bytes; the limit is {settings.max_result_bytes:,} (MAX_RESULT_BYTES). "
            "Save it as a file and return the file."
        )
    return Ending(EndingKind.COMPLETED, result="" if result == "null" else base64.b64encode(encoded).decode())


def _failed(error: BaseException, job_type: JobType, settings: Settings) -> Ending:
    failure = describe(error, settings.job_packages, settings)
    trace = base64.b64encode(zlib.compress(failure.trace.encode())).decode()
    if isinstance(error, RetryLater):
        delay = min(max(0.0, float(error.seconds)), MAX_LATER_SECONDS)
        return Ending(EndingKind.LATER, "", trace, failure.message, failure.error_type, delay_seconds=delay)
    fatal = isinstance(error, _FINAL)
    retryable = not fatal and job_type.retry is not None and job_type.retry.applies_to(error)
    return Ending(EndingKind.FAILED, "", trace, failure.message, failure.error_type, retryable, fatal)
