"""Attempts as a work horse performs them: call the function, and report how it ended."""

from __future__ import annotations

import base64
import os
import signal
import time
import zlib
from collections.abc import Callable, Sequence
from contextvars import copy_context
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
from .self_check import SelfCheck, flush_other_output
from .verdict import Verdict

#: Errors that no retry can fix, whatever the policy.
_FINAL = (Fatal, InvalidParameters, ResultInvalid, ResultTooLarge)


class Interruptions:
    """The two signals that interrupt a function: its time is up, or its job is cancelled."""

    def __init__(self) -> None:
        #: One of them has arrived.
        self.happened = False
        self._attempt: running.Attempt | None = None
        self._seconds = 0
        self._running = False

    def listen(self) -> None:
        signal.signal(signal.SIGALRM, self._time_is_up)
        signal.signal(CANCEL_SIGNAL, self._cancel)

    def concern(self, attempt: running.Attempt | None) -> None:
        """Cancel this attempt when the signal comes."""
        self._attempt = attempt

    def within(self, seconds: int, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call the function, and raise JobTimeout in it after `seconds`.

        The worker kills a function that does not react, such as a loop in C. rq.timeouts (2.12.0) does the same as
        this, but importing it imports rq and redis: 21 MB more to copy for every fork.
        """
        self._seconds, self._running = seconds, True
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return function(*args, **kwargs)
        finally:
            self._running = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _time_is_up(self, _signum: int, _frame: FrameType | None) -> None:
        self.happened = True
        if self._running:
            raise timed_out(self._seconds)

    def _cancel(self, _signum: int, _frame: FrameType | None) -> None:
        self.happened = True
        if self._attempt is not None:
            self._attempt.request_cancel()


def perform(channel: SocketChannel, catalogue: Catalogue, settings: Settings) -> None:
    """Read a job from the channel, run it, and send how it ended.

    If the worker asks this process to stay, check it after the attempt, send the verdict, and wait for the next job.
    """
    interruptions = Interruptions()
    interruptions.listen()
    assignment = _next(channel)
    check = SelfCheck(settings.max_job_memory_bytes) if assignment.stay else None
    while _serve(channel, catalogue, settings, interruptions, assignment) and check is not None:
        del assignment
        verdict = Verdict("its function was interrupted") if interruptions.happened else check.verdict()
        flush_output()
        channel.send({"verdict": verdict.as_message()})
        if verdict.reason:
            return
        assignment = _next(channel)


def _next(channel: SocketChannel) -> Assignment:
    # A function that was interrupted while it saved its checkpoint has not read the worker's reply.
    while "job_id" not in (message := channel.read()):
        continue
    return Assignment.from_message(message)


def _serve(
    channel: SocketChannel,
    catalogue: Catalogue,
    settings: Settings,
    interruptions: Interruptions,
    assignment: Assignment,
) -> bool:
    """Run one job, and send how it ended. Return True if this process may serve another one."""
    job_type = catalogue.by_function(assignment.func_name)
    assert job_type is not None, "the worker checks this before it sends a job"
    attempt = _attempt(channel, assignment, job_type)
    running.begin(attempt)
    interruptions.concern(attempt)
    horse = os.getpid()
    # In a context of its own: the next attempt has the decimal context and the context variables of a new process.
    ending = copy_context().run(run, job_type, assignment, settings, interruptions)
    if os.getpid() != horse:
        # A child that the function forked has returned from it. Only its parent reports how the attempt ended.
        flush_output()
        os._exit(0 if ending.kind is EndingKind.COMPLETED else 1)
    running.end()
    attempt.flush()
    flush_output()
    if assignment.stay:
        flush_other_output()
    channel.send({"ending": ending.as_message()})
    if not assignment.stay or ending.kind is not EndingKind.COMPLETED:
        return False
    attempt.end()
    running.begin(None)
    interruptions.concern(None)
    return True


def _attempt(channel: SocketChannel, assignment: Assignment, job_type: JobType) -> running.Attempt:
    job = running.CurrentJob(
        assignment.job_id, job_type.name, assignment.user_id, assignment.attempt, assignment.resumed
    )
    progress = Progress.from_meta(assignment.meta) if assignment.meta else None
    return running.Attempt(job, channel, assignment.checkpoint, progress=progress, positions=assignment.positions)


def run(job_type: JobType, assignment: Assignment, settings: Settings, interruptions: Interruptions) -> Ending:
    """Call the job's function. Whatever it raises is an ending."""
    try:
        args, kwargs = job_type.parameters.bind(assignment.params)
        if assignment.start_before is not None and time.monotonic() > assignment.start_before:
            return Ending(EndingKind.TOO_LATE)
        value = interruptions.within(assignment.timeout_seconds, job_type.function, args, kwargs)
        return _completed(job_type.result.dump(value), settings)
    except running.Cancelled:
        return Ending(EndingKind.CANCELLED)
    except BaseException as error:  # noqa: BLE001 - even SystemExit: whatever ends a function ends its attempt
        return _failed(error, job_type, settings)


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
