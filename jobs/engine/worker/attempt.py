"""What a work horse does with its job: call the function, and say how it ended."""

from __future__ import annotations

import base64
import os
import signal
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jobs.engine.author import running
from jobs.engine.author.reporting import Progress
from jobs.engine.catalogue.catalogue import Catalogue, JobType
from jobs.engine.errors import Fatal, InvalidParameters, JobTimeout, ResultInvalid, ResultTooLarge, RetryLater
from jobs.engine.settings import Settings

from .failure import Failure, describe
from .horse import CANCEL_SIGNAL, SocketChannel, flush_output

#: Errors that no retry can mend, whatever the policy.
_FINAL = (Fatal, InvalidParameters, ResultInvalid, ResultTooLarge)


def perform(channel: SocketChannel, catalogue: Catalogue, settings: Settings) -> None:
    """Read one job from the channel, run it, and send its outcome."""
    order = channel.read()
    job_type = catalogue.by_function(order["func_name"])
    assert job_type is not None, "the worker checks this before it hands a job over"
    current = running.CurrentJob(order["job_id"], job_type.name, order["user_id"], order["attempt"], order["resumed"])
    attempt = running.Attempt(
        current,
        channel,
        order["checkpoint"],
        progress=Progress.from_meta(order["meta"]),
        positions=order["positions"],
    )
    running.begin(attempt)
    _listen_for_cancel(attempt)
    horse = os.getpid()
    outcome = _outcome(job_type, order, settings)
    if os.getpid() != horse:
        # A child that the function forked came out of it: how the attempt ends is its parent's to say.
        flush_output()
        os._exit(0 if outcome["kind"] == "completed" else 1)
    running.end()
    attempt.reporting.flush()
    flush_output()
    channel.send({"outcome": outcome | {"state": attempt.reporting.progress().as_meta()}})


def timeout_message(seconds: int) -> str:
    return f"The job took longer than its timeout of {seconds} s."


def rendered(failure: Failure) -> dict[str, Any]:
    """A failure as it travels to the worker and into the finish script."""
    return {
        "error": failure.message,
        "error_type": failure.error_type,
        "trace": base64.b64encode(zlib.compress(failure.trace.encode())).decode(),
    }


def _listen_for_cancel(attempt: running.Attempt) -> None:
    def note(_signum: int, _frame: FrameType | None) -> None:
        attempt.request_cancel()

    signal.signal(CANCEL_SIGNAL, note)


def _outcome(job_type: JobType, order: dict[str, Any], settings: Settings) -> dict[str, Any]:
    try:
        args, kwargs = job_type.parameters.bind(order["params"])
        with _time_limit(order["timeout"]):
            value = job_type.function(*args, **kwargs)
        return _completed(job_type.result.dump(value), settings)
    except running.Cancelled:
        return {"kind": "cancelled"}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: whatever ends a function ends its attempt
        return _failed(error, job_type, settings)


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Raise JobTimeout after `seconds`; the worker kills what does not answer to it, such as a loop in C.

    rq.timeouts (2.12.0) has the same, but importing it imports rq and redis: 21 MB more to copy for every fork.
    """

    def time_is_up(_signum: int, _frame: FrameType | None) -> None:
        raise JobTimeout(timeout_message(seconds))

    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _completed(result: str, settings: Settings) -> dict[str, Any]:
    size = len(result.encode())
    if size > settings.max_result_bytes:
        raise ResultTooLarge(
            f"The result has {size:,} bytes, and may have {settings.max_result_bytes:,} (MAX_RESULT_BYTES); "
            "save it as a file and return the file."
        )
    return {"kind": "completed", "result": "" if result == "null" else base64.b64encode(result.encode()).decode()}


def _failed(error: BaseException, job_type: JobType, settings: Settings) -> dict[str, Any]:
    outcome = {"kind": "failed", "retryable": False, "fatal": isinstance(error, _FINAL)}
    outcome |= rendered(describe(error, settings.job_packages, settings))
    if isinstance(error, RetryLater):
        return outcome | {"kind": "later", "delay": max(0.0, float(error.seconds))}
    if not outcome["fatal"] and job_type.retry is not None:
        outcome["retryable"] = job_type.retry.applies_to(error)
    return outcome
