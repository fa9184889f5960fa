"""Jobs on a real forked worker."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.engine.client.job import Job
from jobs.engine.states import Priority
from tests.integration.harness import Harness, alive
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("workers")


def test_a_job_runs_in_its_own_process_and_returns_its_result(harness: Harness) -> None:
    job = harness.run("echo", text="hello", times=2)

    assert (job.status, job.result, job.progress, job.attempt) == ("completed", ["hello", "hello"], 100.0, 1)
    assert job.created_at and job.started_at and job.completed_at and job.expires_at
    assert job.created_at <= job.started_at <= job.completed_at < job.expires_at


def test_a_function_may_fork_while_another_thread_holds_a_logging_lock(harness: Harness) -> None:
    assert harness.run("fork-while-a-thread-logs").result == [True, True]


def test_progress_grows_and_every_version_is_an_event(harness: Harness) -> None:
    job = harness.submit("report-slowly", steps=4, seconds=0.25)
    seen = []

    def look(now: Job) -> bool:
        seen.append((now.version, now.progress))
        return now.status.terminal

    harness.until(job, look)

    assert all(before <= after for before, after in pairwise(seen))
    assert len({progress for _version, progress in seen}) >= 3
    events = harness.client.events(job.job_id)
    assert [event["type"] for event in events] == ["job_queued", "job_started", "job_progress", "job_completed"]
    assert events[-1]["version"] == harness.client.find(job.job_id).version


def test_a_failure_shows_the_author_s_message_without_a_trace(harness: Harness) -> None:
    job = harness.run("fail", message="the well is dry")

    assert (job.status, job.error, job.error_type) == ("failed", "the well is dry", "ValueError")
    assert "Traceback" not in str(job.as_dict())
    assert job.trace and "Traceback" in job.trace


def test_a_failure_in_a_library_shows_only_its_class(harness: Harness) -> None:
    job = harness.run("fail-in-library")

    assert job.error_type == "JSONDecodeError"
    assert job.error == "The job failed with JSONDecodeError. Only admins can see its trace."


def test_a_path_in_an_author_s_message_is_masked(harness: Harness) -> None:
    assert harness.run("fail-fatally").error == "no such model at [path]"


def test_a_flaky_job_completes_on_its_third_attempt_with_growing_delays(harness: Harness, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    job = harness.run("flaky", path=str(marks), fails=2)

    assert (job.status, job.attempt, job.max_attempts, job.result) == ("completed", 3, 3, 3)
    first, second, third = map(float, marks.read_text().split())
    assert second - first >= 0.3
    assert third - second >= 0.6
    assert [str(event["type"]) for event in harness.client.events(job.job_id)].count("job_retrying") == 2


def test_a_flaky_job_fails_once_its_attempts_are_spent(harness: Harness, tmp_path: Path) -> None:
    job = harness.run("flaky", path=str(tmp_path / "marks"), fails=99)

    assert (job.status, job.attempt, job.error) == ("failed", 3, "try 3 failed")


def test_retry_later_runs_the_job_again_and_spends_no_attempt(harness: Harness, tmp_path: Path) -> None:
    job = harness.run("come-back-later", path=str(tmp_path / "mark"))

    assert (job.status, job.result, job.attempt) == ("completed", "now", 1)


@pytest.mark.parametrize("name", ["sleep-too-long", "hang-in-c"])
def test_a_job_over_its_timeout_fails_within_two_seconds_of_it(harness: Harness, name: str) -> None:
    job = harness.run(name)

    assert (job.status, job.error_type) == ("failed", "timeout")
    assert job.started_at and job.completed_at
    assert (job.completed_at - job.started_at).total_seconds() < 1 + 2 + ALLOWANCE_SECONDS


def test_a_job_whose_progress_stops_fails_as_stalled(harness: Harness) -> None:
    job = harness.run("stall")

    assert (job.status, job.error_type, job.progress) == ("failed", "stalled", 10.0)


def test_the_log_of_a_job_has_its_output_and_log_records(harness: Harness) -> None:
    lines = harness.client.logs(harness.run("talk").job_id).lines

    levels = {line["message"]: line["level"] for line in lines}
    assert levels == {
        "to stdout": "info",
        "to stderr": "warning",
        "to logging": "warning",
        "to log": "info",
        "from a child": "info",
    }
    assert {line["attempt"] for line in lines} == {1}


def test_a_cancelled_running_job_ends_with_its_children_within_five_seconds(harness: Harness, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job = harness.submit("sleep", seconds=60, path=str(pids))
    eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the job starts its child")
    horse, child = map(int, pids.read_text().split())
    began = time.monotonic()

    assert harness.client.cancel(job.job_id).status == "running"
    assert harness.ended(job).status == "cancelled"
    eventually(
        lambda: not alive(horse) and not alive(child), "its processes end", timeout=5 - (time.monotonic() - began)
    )


def test_a_job_whose_process_was_killed_continues_from_its_checkpoint(harness: Harness, tmp_path: Path) -> None:
    job = harness.run("step-by-step", path=str(tmp_path / "died"), steps=4, die_at=2)

    assert (job.status, job.result, job.attempt, job.resumed) == ("completed", [0, 1, 2, 3], 1, 1)


def test_a_job_whose_process_dies_three_times_running_fails_as_worker_lost(harness: Harness) -> None:
    job = harness.run("die")

    assert (job.status, job.error_type, job.attempt, job.resumed) == ("failed", "worker_lost", 1, 2)


def test_a_retried_job_continues_from_its_checkpoint(harness: Harness, tmp_path: Path) -> None:
    job = harness.run("flaky", path=str(tmp_path / "marks"), fails=4)
    assert job.status == "failed"

    harness.client.retry(job.job_id)

    again = harness.ended(job)
    assert (again.status, again.result, again.attempt, again.error) == ("completed", 5, 2, None)
    assert again.version > job.version


def test_a_job_with_a_result_over_the_limit_fails_and_says_what_to_do(harness: Harness) -> None:
    job = harness.run("return-too-much", size=200_000)

    assert (job.status, job.error_type) == ("failed", "result_too_large")
    assert job.error and "Save it as a file" in job.error


def test_a_job_whose_result_does_not_match_its_hint_fails(harness: Harness) -> None:
    assert harness.run("return-the-wrong-thing").error_type == "result_invalid"


def test_jobs_run_in_the_order_of_their_priority(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "order"
    harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    jobs = [
        harness.submit("note", path=str(path), text=str(priority), options={"priority": priority})
        for priority in (Priority.LOW, Priority.DEFAULT, Priority.HIGH)
    ]
    (tmp_path / "end").touch()
    for job in jobs:
        harness.ended(job)

    assert path.read_text().split() == ["high", "default", "low"]


def test_a_delayed_job_runs_at_its_time(harness: Harness) -> None:
    job = harness.submit("noop", options={"delay_seconds": 0.7})
    assert (job.status, job.pending_reason) == ("pending", "scheduled")
    assert job.scheduled_at and job.created_at

    ended = harness.ended(job)
    assert ended.started_at and ended.started_at >= job.scheduled_at
    assert (ended.started_at - job.scheduled_at).total_seconds() < 5


def test_a_job_waits_for_those_it_depends_on(harness: Harness, tmp_path: Path) -> None:
    path, go = tmp_path / "order", tmp_path / "go"
    first = harness.submit("wait-for-file", path=str(go))
    second = harness.submit("note", path=str(path), text="after", options={"depends_on": (first.job_id,)})
    assert (second.pending_reason, path.exists()) == ("waiting", False)
    go.touch()

    assert harness.ended(second).status == "completed"
    assert harness.client.find(first.job_id).status == "completed"


def test_jobs_that_depend_on_a_failed_job_are_cancelled_with_a_reason(harness: Harness) -> None:
    first = harness.submit("fail", options={"delay_seconds": 0.3})
    second = harness.submit("noop", options={"depends_on": (first.job_id,)})
    third = harness.submit("noop", options={"depends_on": (second.job_id,)})

    for job, culprit in ((second, first), (third, second)):
        ended = harness.ended(job)
        assert (ended.status, ended.error_type) == ("cancelled", "dependency_failed")
        assert ended.error and culprit.job_id in ended.error


@pytest.mark.parametrize("how", ["raise", "die"])
@pytest.mark.parametrize("stop_at", [[0, 0], [0, 2], [2, 0], [2, 1], [3, 2]])
def test_a_resumable_loop_continues_after_the_last_finished_item(
    harness: Harness, tmp_path: Path, how: str, stop_at: list[int]
) -> None:
    path = tmp_path / "fields"
    job = harness.run("walk", path=str(path), rows=4, columns=3, stop_at=stop_at, how=how)

    assert job.status == "completed"
    wanted = [f"{row},{column}" for row in range(4) for column in range(3)] + [f"after {n}" for n in range(3)]
    assert path.read_text().splitlines() == wanted


def test_a_job_that_closes_its_channel_is_killed_before_it_runs_again(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = harness.run("close-everything", path=str(path))

    assert (job.status, job.error_type) == ("failed", "worker_lost")
    pids = [int(pid) for pid in path.read_text().split()]
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)
