"""Compatibility with RQ: jobs of plain RQ run, and its tools show our jobs."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rq
from rq.job import Job as RQJob
from rq.registry import CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer

from jobs.engine.worker.rq_worker import Worker
from tests.integration.harness import Harness, alive
from tests.waiting import ALLOWANCE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("workers")

ECHO = "tests.jobs_for_tests.behaviours.echo"


def queue(harness: Harness, name: str = "default") -> rq.Queue:
    return rq.Queue(name, connection=harness.connection, serializer=JSONSerializer)


def ended(harness: Harness, job: RQJob) -> RQJob:
    eventually(lambda: job.get_status() in ("finished", "failed"), "rq's job ends")
    job.refresh()
    return job


def test_a_job_enqueued_with_plain_rq_runs_and_has_no_owner(harness: Harness) -> None:
    job = ended(harness, queue(harness).enqueue(ECHO, "hello", times=2))

    assert job.return_value() == ["hello", "hello"]
    seen = harness.client.find(job.id)
    assert (seen.status, seen.result, seen.user_id) == ("completed", ["hello", "hello"], None)
    assert not harness.connection.lrange("rq:queue:default:intermediate", 0, -1)


def test_a_pickled_job_fails_unread_and_its_error_says_how_to_fix_it(harness: Harness, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "boom",))

    job = RQJob.create(ECHO, connection=harness.connection, origin="default")
    job.data = pickle.dumps(Bomb())
    job.save()
    queue(harness).push_job_id(job.id)

    eventually(lambda: RQJob.fetch(job.id, connection=harness.connection).get_status() == "failed", "it fails")
    trace = harness.client.find(job.id).trace
    assert trace and "serializer='json'" in trace
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("planted", ["os.system", "subprocess.run", "tests.jobs_for_tests.behaviours.Path.touch"])
def test_a_function_that_is_not_in_the_catalogue_is_never_run(harness: Harness, planted: str, tmp_path: Path) -> None:
    job = ended(harness, queue(harness).enqueue(planted, str(tmp_path / "boom")))

    assert job.get_status() == "failed"
    assert not (tmp_path / "boom").exists()
    trace = harness.client.find(job.id).trace
    assert trace and "ALLOWED_FUNCTIONS" in trace
    error = harness.client.find(job.id).error
    assert error and "ALLOWED_FUNCTIONS" in error


def test_a_callback_that_is_not_in_the_catalogue_is_never_run(harness: Harness) -> None:
    job = queue(harness).enqueue(ECHO, "hello", on_success=rq.Callback("os.getcwd"))

    assert ended(harness, job).get_status() == "failed"


def test_rq_s_registries_results_and_meta_show_our_jobs(harness: Harness) -> None:
    job = harness.run("report-slowly", steps=2, seconds=0.1)
    failed = harness.run("fail")

    seen = RQJob.fetch(job.job_id, connection=harness.connection, serializer=JSONSerializer)
    assert (seen.get_status(), seen.return_value(), seen.meta["progress"]) == ("finished", 2, 100)
    assert job.job_id in FinishedJobRegistry(queue=queue(harness)).get_job_ids()
    other = RQJob.fetch(failed.job_id, connection=harness.connection, serializer=JSONSerializer)
    assert "the well is dry" in (other.latest_result().exc_string or "")  # type: ignore[union-attr]
    assert failed.job_id in FailedJobRegistry(queue=queue(harness)).get_job_ids()


def test_rq_s_tools_show_a_running_job_and_do_not_disturb_it(harness: Harness, tmp_path: Path) -> None:
    job = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))

    assert job.job_id in StartedJobRegistry(queue=queue(harness)).get_job_ids()
    info = subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--url", harness.settings.broker_url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    (worker,) = Worker.all(connection=harness.connection)
    assert worker.name in info.stdout, info.stderr
    assert "busy" in info.stdout
    (tmp_path / "end").touch()
    assert harness.ended(job).status == "completed"


def test_rq_s_stop_command_ends_a_running_job(harness: Harness) -> None:
    job = harness.running(harness.submit("sleep", seconds=60))

    rq.command.send_stop_job_command(harness.connection, job.job_id, serializer=JSONSerializer)

    assert harness.ended(job).status == "cancelled"


def test_a_job_of_plain_rq_whose_process_is_killed_fails_the_third_time(harness: Harness) -> None:
    job = ended(harness, queue(harness).enqueue("tests.jobs_for_tests.behaviours.kill_myself"))

    assert (job.get_status(), harness.client.find(job.id).error_type) == ("failed", "worker_lost")
    assert harness.connection.zcard("wh:leases") == 0
    assert not harness.connection.lrange("rq:queue:default:intermediate", 0, -1)
    assert not StartedJobRegistry(queue=queue(harness)).get_job_ids(cleanup=False)


def test_a_job_of_plain_rq_whose_worker_is_killed_runs_again(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = queue(harness).enqueue("tests.jobs_for_tests.behaviours.note_pid_and_sleep", str(path), 3)
    eventually(lambda: path.exists() and path.read_text(), "it starts")
    (worker,) = harness.worker_pids()

    os.kill(worker, signal.SIGKILL)

    eventually(lambda: len(path.read_text().split()) == 2, "it starts again")
    first, second = map(int, path.read_text().split())
    assert not alive(first)
    assert alive(second)
    assert ended(harness, job).get_status() == "finished"


def test_a_failed_job_of_plain_rq_shows_its_exception_s_class_and_no_details(harness: Harness) -> None:
    job = ended(harness, queue(harness).enqueue("tests.jobs_for_tests.behaviours.fail"))

    seen = harness.client.find(job.id)
    assert (seen.status, seen.error_type) == ("failed", "ValueError")
    assert seen.error == "The job failed. Only admins can see its trace."


@pytest.mark.parametrize("serializer", [JSONSerializer, DefaultSerializer], ids=["json", "pickle"])
def test_a_job_of_ours_that_an_rq_client_saves_runs(harness: Harness, serializer: type[JSONSerializer]) -> None:
    waiting = harness.submit("echo", text="hi", options={"delay_seconds": 1})

    RQJob.fetch(waiting.job_id, connection=harness.connection, serializer=serializer).save()

    job = harness.ended(waiting)
    assert (job.status, job.result, job.params) == ("completed", ["hi"], {"text": "hi"})


@pytest.mark.parametrize("serializer", [JSONSerializer, DefaultSerializer], ids=["json", "pickle"])
def test_a_failed_job_of_ours_that_rq_requeues_runs_again_and_is_listed_once(
    harness: Harness, tmp_path: Path, serializer: type[JSONSerializer]
) -> None:
    failed = harness.run("fail-after-progress", path=str(tmp_path / "fixed"))
    (tmp_path / "fixed").touch()

    RQJob.fetch(failed.job_id, connection=harness.connection, serializer=serializer).requeue()

    job = harness.until(failed, lambda now: now.status == "completed")
    assert (job.result, job.error, job.attempt, job.user_id) == ("fixed", None, 1, "alice")
    assert failed.version < job.version
    assert not harness.connection.zscore("wh:jobs:alice:failed", job.job_id)
    assert harness.connection.zscore("wh:jobs:alice:completed", job.job_id)
    expiry = [str(member) for member in harness.connection.zrange("wh:expiry", 0, -1)]
    assert [member for member in expiry if job.job_id in member] == [f"b'{job.job_id}|alice|completed'"]


def test_a_running_job_of_plain_rq_can_be_cancelled(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = queue(harness).enqueue("tests.jobs_for_tests.behaviours.note_pid_and_sleep", str(path), 60)
    eventually(lambda: path.exists() and path.read_text(), "it starts")

    assert harness.client.cancel(job.id).status == "running"

    eventually(lambda: harness.client.find(job.id).status == "cancelled", "it ends", timeout=5 + ALLOWANCE_SECONDS)
    assert not alive(int(path.read_text()))
    assert job.get_status() == "canceled"
    assert job.id in CanceledJobRegistry(queue=queue(harness)).get_job_ids()
    assert not StartedJobRegistry(queue=queue(harness)).get_job_ids(cleanup=False)
    eventually(lambda: not harness.connection.zcard("wh:leases"), "its lease ends")
    assert ended(harness, queue(harness).enqueue(ECHO, "next")).return_value() == ["next"]


def test_a_waiting_job_of_plain_rq_that_is_cancelled_never_runs(harness: Harness, tmp_path: Path) -> None:
    first = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    job = queue(harness).enqueue("tests.jobs_for_tests.behaviours.note", str(tmp_path / "note"), "it ran")

    harness.client.cancel(job.id)
    (tmp_path / "end").touch()

    harness.ended(first)
    harness.run("noop")
    assert harness.client.find(job.id).status == "cancelled"
    assert not (tmp_path / "note").exists()


def test_a_failed_job_of_plain_rq_that_is_retried_runs_again_as_one_of_plain_rq(
    harness: Harness, tmp_path: Path
) -> None:
    path = tmp_path / "fixed"
    job = ended(harness, queue(harness).enqueue("tests.jobs_for_tests.behaviours.fail_after_progress", str(path)))
    failed = harness.client.find(job.id)
    path.touch()

    retried = harness.client.retry(job.id)

    assert (failed.status, retried.status) == ("failed", "pending")
    eventually(lambda: job.get_status() == "finished", "it ends")
    completed = harness.client.find(job.id)
    assert (completed.result, completed.error, completed.error_type) == ("fixed", None, None)
    assert failed.version < retried.version < completed.version
    assert not harness.connection.hexists(job.key, "version")
    assert job.id not in FailedJobRegistry(queue=queue(harness)).get_job_ids()


def test_a_cancelled_job_of_plain_rq_that_is_retried_runs_once(harness: Harness, tmp_path: Path) -> None:
    first = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    job = queue(harness).enqueue("tests.jobs_for_tests.behaviours.note_pid_and_sleep", str(tmp_path / "pids"), 0)
    waiting = harness.client.find(job.id)
    harness.client.cancel(job.id)
    cancelled = harness.client.find(job.id)

    retried = harness.client.retry(job.id)
    (tmp_path / "end").touch()

    harness.ended(first)
    eventually(lambda: job.get_status() == "finished", "it ends")
    assert waiting.version < cancelled.version < retried.version < harness.client.find(job.id).version
    assert not harness.connection.zscore("wh:jobs::cancelled", job.id)
    assert not harness.connection.zscore("wh:expiry", f"{job.id}||cancelled")
    assert len((tmp_path / "pids").read_text().split()) == 1


def test_a_job_of_plain_rq_that_is_cancelled_while_it_runs_can_be_retried(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = queue(harness).enqueue("tests.jobs_for_tests.behaviours.note_pid_and_sleep", str(path), 3)
    eventually(lambda: path.exists() and path.read_text(), "it starts")
    harness.client.cancel(job.id)
    eventually(lambda: harness.client.find(job.id).status == "cancelled", "it ends")

    harness.client.retry(job.id)

    eventually(lambda: job.get_status() == "finished", "it ends")
    assert len(path.read_text().split()) == 2
