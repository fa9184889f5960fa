"""What a work horse does with its job: call the function, and say how it ended."""

from __future__ import annotations

import base64
import signal
import zlib
from types import FrameType
from typing import Any

from rq.timeouts import UnixSignalDeathPenalty

from . import run
from .catalogue import Catalogue, JobType
from .errors import Fatal, InvalidParameters, JobTimeout, ResultInvalid, ResultTooLarge, RetryLater
from .failure import Failure, describe
from .horse import CANCEL_SIGNAL, SocketChannel
from .settings import Settings

#: Errors that no retry can mend, whatever the policy.
_FINAL = (Fatal, InvalidParameters, ResultInvalid, ResultTooLarge)


def perform(channel: SocketChannel, catalogue: Catalogue, settings: Settings) -> None:
    """Read one job from the channel, run it, and send its outcome."""
    order = channel.read()
    job_type = catalogue.by_function(order["func_name"])
    assert job_type is not None, "the worker checks this before it hands a job over"
    current = run.CurrentJob(order["job_id"], job_type.name, order["user_id"], order["attempt"], order["resumed"])
    attempt = run.Attempt(current, channel, order["checkpoint"], order["meta"])
    run.begin(attempt)
    _listen_for_cancel(attempt)
    outcome = _outcome(job_type, order, settings)
    attempt.flush()
    channel.send({"outcome": outcome | {"state": attempt.state()}})


def timeout_message(seconds: int) -> str:
    return f"The job took longer than its timeout of {seconds} s."


def rendered(failure: Failure) -> dict[str, Any]:
    """A failure as it travels to the worker and into the finish script."""
    return {
        "error": failure.message,
        "error_type": failure.error_type,
        "trace": base64.b64encode(zlib.compress(failure.trace.encode())).decode(),
    }


def _listen_for_cancel(attempt: run.Attempt) -> None:
    def note(_signum: int, _frame: FrameType | None) -> None:
        attempt.cancel_requested = True
        attempt.due = True

    signal.signal(CANCEL_SIGNAL, note)


def _outcome(job_type: JobType, order: dict[str, Any], settings: Settings) -> dict[str, Any]:
    try:
        args, kwargs = job_type.parameters.bind(order["params"])
        # rq's own death penalty (rq/timeouts.py, 2.12.0); the worker kills what does not answer to it.
        with UnixSignalDeathPenalty(order["timeout"], _timed_out(order["timeout"])):
            value = job_type.function(*args, **kwargs)
        return _completed(job_type.result.dump(value), settings)
    except run.Cancelled:
        return {"kind": "cancelled"}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: whatever ends a function ends its attempt
        return _failed(error, job_type, settings)


def _timed_out(seconds: int) -> type[JobTimeout]:
    class TimedOut(JobTimeout):
        def __init__(self, _what_rq_says: str) -> None:
            super().__init__(timeout_message(seconds))

    return TimedOut


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
