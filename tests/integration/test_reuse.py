"""One process serves several attempts of a job type with `reuse`, unless one of them leaves something behind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.engine.client.job import Job
from tests.integration.harness import Harness
from tests.waiting import eventually

#: By what an attempt leaves: the reason in the worker's log.
REASONS = {
    "child": r"it left a child process \(\d+\)",
    "orphan": r"it left a child process \(\d+\)",
    "dead child": r"it left a child process \(\d+\)",
    "program": r"it left a child process \(\d+\)",
    "thread": r"it left a thread \(sleeper\)",
    "library's thread": "it left a thread that a library started",
    "late output": r"it left a thread \(speaker(, progress)?\)",
    "working directory": "it changed the working directory",
    "umask": "it changed the umask",
    "environment": "it left the environment variable REUSED_SECRET",
    "C environment": "it left the environment variable REUSED_SECRET",
    "removed variable": "it removed the environment variable PATH",
    "signal handler": "it left the handler of SIGUSR1",
    "engine's handler": "it changed the handler of SIGUSR2",
    "ignored signal": "it left the handler of SIGWINCH",
    "blocked signal": "it changed the blocked signals",
    "timer": "it left the timer ITIMER_VIRTUAL",
    "resource limit": "it changed the limit RLIMIT_NOFILE",
    "nice value": "it changed the nice value",
    "CPUs": "it changed the allowed CPUs",
    "process group": "it changed the process group",
    "file": r"it left descriptor \d+ \(device\)",
    "socket": r"it left descriptor \d+ \(socket\)",
    "pipe": r"it left descriptor \d+ \(pipe\); it left descriptor \d+ \(pipe\)",
    "redirected stdout": r"it removed descriptor 1 \(pipe\); it left descriptor 1 \(device\)",
    "sys.stdout": "it changed sys.stdout",
    "root logger": "it changed the root logger",
    "logging.disable": "it changed the level of logging.disable",
    "handler of the root logger": "it changed a handler of the root logger",
    "trace function": "it changed the trace function",
    "garbage collector": "it changed the garbage collector",
    "time zone": "it changed the time zone",
    "recursion limit": "it changed the recursion limit",
    "locale": "it changed the locale",
    "memory": "it grew by more than 64 MiB since its first attempt",
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "worker"


@pytest.fixture(scope="module")
def supervisor(harness: Harness, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    # Otherwise, C code and Python's first stdout would not buffer what they print.
    started = harness.launch_workers({"PYTHONUNBUFFERED": ""}, log=log)
    eventually(lambda: harness.connection.scard("rq:workers"), "the worker registers")
    yield started
    harness.end(started)


workers = pytest.mark.usefixtures("supervisor")


def reason_of(log: Path, pid: int) -> str:
    """Return the reason for which a process was retired, once it is in the log."""
    pattern = re.compile(rf"retired work horse {pid} of \S+ after \d+ attempts?: (.*)")
    found: re.Match[str] = eventually(lambda: pattern.search(log.read_text()), "the log says why it was retired")
    return found[1]


def messages(harness: Harness, job: Job) -> list[str]:
    return [line["message"] for line in harness.client.logs(job.job_id).lines]


@workers
def test_one_process_serves_as_many_attempts_as_asked_for(harness: Harness) -> None:
    results = [harness.run("count-in-one-process").result for _ in range(7)]

    assert [calls for _pid, calls in results] == [1, 2, 3, 1, 2, 3, 1]
    assert len({pid for pid, _calls in results}) == 3


@workers
def test_jobs_that_are_waiting_are_served_by_one_process_too(harness: Harness) -> None:
    jobs = [harness.submit("count-in-one-process") for _ in range(12)]

    calls = [harness.ended(job).result[1] for job in jobs]

    assert calls.count(3) >= 3


@workers
def test_without_reuse_each_attempt_has_a_process_of_its_own(harness: Harness) -> None:
    results = [harness.run("count-in-its-own-process").result for _ in range(3)]

    assert [calls for _pid, calls in results] == [1, 1, 1]
    assert len({pid for pid, _calls in results}) == 3


@workers
def test_a_reused_process_has_the_modules_that_its_job_type_preloads(harness: Harness) -> None:
    first, second = (harness.run("count-beside-heavy-module").result for _ in range(2))

    assert first == second
    assert first[2]


@workers
@pytest.mark.parametrize("how", REASONS)
def test_a_process_in_which_an_attempt_left_something_is_retired(harness: Harness, log: Path, how: str) -> None:
    clean = harness.run("tamper").result
    first = harness.run("tamper", how=how)
    following = harness.run("tamper").result

    assert first.status == "completed"
    assert re.fullmatch(REASONS[how], reason_of(log, first.result["pid"]))
    assert following.pop("pid") != first.result["pid"]
    # The process before it may have served other tests.
    assert following | {"kept": 0} == {name: value for name, value in clean.items() if name != "pid"} | {"kept": 0}
    assert "hush-hush" not in log.read_text()


@workers
def test_a_process_in_which_nothing_was_left_is_used_again(harness: Harness) -> None:
    first, second = (harness.run("tamper").result for _ in range(2))

    assert first == second


@workers
@pytest.mark.parametrize("how", ["print", "C", "first stdout", "cycle"])
def test_each_attempt_has_a_log_a_checkpoint_and_a_context_of_its_own(harness: Harness, how: str) -> None:
    said = {"print": "print {}", "C": "C {}", "first stdout": "raw {}", "cycle": "late line {}"}[how]
    jobs = [harness.run("speak", text=text, how=how) for text in ("one", "two", "three")]

    assert len({job.result[0] for job in jobs}) == 1
    for job, text in zip(jobs, ("one", "two", "three"), strict=True):
        lines = messages(harness, job)
        assert job.result[1:] == [job.job_id, {}, 28]
        if how == "cycle":
            # What is printed after the ending may be lost, or come before what was sent, but is in no other job's log.
            assert f"log {text}" in lines
            late = {f"late {what} {text}" for what in ("line", "log line", "record")}
            assert set(lines) <= {f"log {text}"} | late
        else:
            assert lines == [f"log {text}", said.format(text)]
        assert (job.progress, job.progress_message) == (100.0, text)


@workers
def test_jobs_that_are_waiting_have_logs_of_their_own(harness: Harness) -> None:
    jobs = {text: harness.submit("speak", text=text) for text in map(str, range(30))}

    for text, job in jobs.items():
        assert harness.ended(job).result[1:] == [job.job_id, {}, 28]
        assert messages(harness, job) == [f"log {text}", f"print {text}"]


@workers
def test_a_loop_that_outlives_its_attempt_reports_no_progress_of_another(harness: Harness) -> None:
    first, second = (harness.run("go-on-with-a-loop", text=text) for text in ("one", "two"))

    assert first.result == second.result
    assert (first.progress_message, second.progress_message) == ("of the first attempt", "two")


@workers
def test_each_attempt_has_positions_of_its_own(harness: Harness) -> None:
    first = harness.run("count-to", number=5)
    second = harness.run("count-to", number=3)
    failed = harness.run("count-to", number=4, fail_at=2)

    assert [job.result[1:] for job in (first, second, failed)] == [[0, 1, 2, 3, 4], [0, 1, 2], [2, 3]]
    assert first.result[0] == second.result[0] != failed.result[0]


@workers
@pytest.mark.parametrize(
    ("how", "status", "error_type", "reason"),
    [
        ("fail", "completed", None, "its attempt ended as failed"),
        ("exit", "failed", "SystemExit", "its attempt ended as failed"),
        ("time out", "completed", None, "its attempt ended as failed"),
        ("stall", "completed", None, "its process was ended"),
        ("die", "completed", None, "its process was ended"),
        ("swallow the timeout", "completed", None, "its function was interrupted"),
    ],
)
def test_a_process_whose_attempt_did_not_end_in_order_is_retired(
    harness: Harness, log: Path, how: str, status: str, error_type: str | None, reason: str
) -> None:
    process = harness.run("end-somehow", how="complete").result
    job = harness.run("end-somehow", how=how)

    assert (job.status, job.error_type) == (status, error_type)
    assert reason_of(log, process) == reason
    assert harness.run("end-somehow", how="complete").result != process


@workers
def test_a_process_that_used_the_storage_is_used_again(harness: Harness) -> None:
    first, second = (harness.run("use-the-storage", text=text).result for text in ("one", "two"))

    assert first[0] == second[0]
    assert (first[1]["filename"], second[1]["filename"]) == ("one.txt", "two.txt")
    assert first[1]["file_id"] != second[1]["file_id"]


@workers
def test_what_a_module_keeps_is_shared_by_all_users(harness: Harness) -> None:
    results = [harness.run("count-in-one-process", user_id=user).result for user in ("alice", "bob", "alice", "bob")]

    assert any(pid == again and calls < more for (pid, calls), (again, more) in pairwise(results))
