"""An attempt as its horse performs it, on a channel of its own."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from jobs.engine import Fatal, Retry, RetryLater, checkpoint, current_job, job, progress, track
from jobs.engine.author.running import begin
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.settings import Settings
from jobs.engine.worker.assignment import Assignment
from jobs.engine.worker.attempt import perform
from jobs.engine.worker.ending import Ending, EndingKind
from jobs.engine.worker.horse import CANCEL_SIGNAL, SocketChannel

ROOT = Path(__file__).parents[4]
MAX_RESULT_BYTES = 1_000


@pytest.fixture(autouse=True)
def as_before():
    handlers = {number: signal.getsignal(number) for number in (CANCEL_SIGNAL, signal.SIGALRM)}
    yield
    begin(None)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_result_bytes=MAX_RESULT_BYTES, job_packages=(__name__,))


@job
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@job
def nothing() -> None:
    """Return nothing."""


@job
def describe_yourself() -> list[Any]:
    """Return what the function knows of its job."""
    running = current_job()
    assert running is not None
    return [running.job_id, running.job_type, running.user_id, running.attempt, running.resumed, dict(checkpoint)]


@job
def large() -> str:
    """Return more than is allowed."""
    return "x" * MAX_RESULT_BYTES


@job
def halfway() -> None:
    """Report progress, and end."""
    progress(50, "half of it")


@job(retry=Retry(max=1, on=(OSError,)))
def fail(how: str) -> None:
    """Raise what is asked for."""
    raise {
        "covered": ConnectionError("no route"),
        "uncovered": ValueError("no sense"),
        "fatal": Fatal("never"),
        "later": RetryLater(60),
        "exit": SystemExit(2),
    }[how]


@job
def wait_forever() -> None:
    """Ask to be cancelled, and report progress until then."""
    signal.raise_signal(CANCEL_SIGNAL)
    for _ in track(iter(int, 1)):
        continue


@job(timeout=1)
def oversleep() -> None:
    """Take longer than the timeout."""
    time.sleep(30)


def performed(function: Any, settings: Settings, **changes: Any) -> list[dict[str, Any]]:
    """Perform an attempt, and return the messages that its worker receives."""
    job_type = JobType.of(function)
    values: dict[str, Any] = {
        "job_id": "job-1",
        "func_name": job_type.func_name,
        "user_id": "alice",
        "params": {},
        "attempt": 1,
        "resumed": 0,
        "timeout_seconds": job_type.timeout,
        "checkpoint": {},
        "positions": [],
        "meta": {},
    }
    worker_end, horse_end = socket.socketpair()
    with worker_end, horse_end:
        message = Assignment(**values | changes).as_message()
        worker_end.sendall(json.dumps(message).encode() + b"\n")
        perform(SocketChannel(horse_end), Catalogue([job_type]), settings)
        horse_end.close()
        with worker_end.makefile("rb") as lines:
            return [json.loads(line) for line in lines if line.strip()]


def ending_of(function: Any, settings: Settings, **changes: Any) -> Ending:
    return Ending.from_message(performed(function, settings, **changes)[-1]["ending"])


def result_of(ending: Ending) -> Any:
    return json.loads(base64.b64decode(ending.result))


def test_a_function_that_returns_has_completed_with_its_result(settings):
    ending = ending_of(double, settings, params={"number": 21})
    assert (ending.kind, result_of(ending)) == (EndingKind.COMPLETED, 42)


def test_a_result_of_none_is_not_stored(settings):
    assert ending_of(nothing, settings) == Ending(EndingKind.COMPLETED)


def test_a_function_knows_its_job_and_its_checkpoint(settings):
    ending = ending_of(describe_yourself, settings, attempt=2, resumed=1, checkpoint={"row": 3})
    assert result_of(ending) == ["job-1", "describe-yourself", "alice", 2, 1, {"row": 3}]


def test_the_last_progress_is_sent_before_the_ending(settings):
    *_, reported, ended = performed(halfway, settings)
    assert (reported["progress"]["progress"], reported["progress"]["progress_message"]) == (50.0, "half of it")
    assert ended["ending"]["kind"] == "completed"


@pytest.mark.parametrize(
    ("how", "kind", "error_type", "retryable", "fatal"),
    [
        ("covered", "failed", "ConnectionError", True, False),
        ("uncovered", "failed", "ValueError", False, False),
        ("fatal", "failed", "Fatal", False, True),
        ("exit", "failed", "SystemExit", False, False),
        ("later", "later", "RetryLater", False, False),
    ],
)
def test_an_error_says_whether_a_retry_may_help(settings, how, kind, error_type, retryable, fatal):
    ending = ending_of(fail, settings, params={"how": how})
    assert (ending.kind, ending.error_type, ending.retryable, ending.fatal) == (kind, error_type, retryable, fatal)


def test_a_job_that_asks_to_run_later_says_when(settings):
    assert ending_of(fail, settings, params={"how": "later"}).delay_seconds == 60


def test_a_trace_is_stored_as_rq_stores_it(settings):
    ending = ending_of(fail, settings, params={"how": "covered"})
    assert b"no route" in zlib.decompress(base64.b64decode(ending.trace))


def test_parameters_that_no_longer_fit_are_fatal(settings):
    ending = ending_of(double, settings, params={"number": "many"})
    assert (ending.kind, ending.error_type, ending.fatal) == ("failed", "InvalidParameters", True)


def test_a_result_over_its_limit_is_fatal(settings):
    ending = ending_of(large, settings)
    assert (ending.error_type, ending.fatal) == ("result_too_large", True)
    assert "1,002 bytes; the limit is 1,000 (MAX_RESULT_BYTES)" in ending.error


def test_a_cancelled_function_stops_at_its_next_report(settings):
    assert ending_of(wait_forever, settings) == Ending(EndingKind.CANCELLED)


def test_a_function_is_interrupted_at_its_timeout(settings):
    ending = ending_of(oversleep, settings)
    assert (ending.error_type, ending.error) == ("timeout", "The job took longer than its timeout of 1 s.")


def test_a_horse_loads_neither_rq_nor_the_brokers_client():
    script = (
        "import sys; from jobs.engine.worker.supervisor import Supervisor; "
        "print(sorted({'redis', 'rq', 'argon2', 'psutil', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
