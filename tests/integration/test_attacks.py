"""Harmful jobs, and records that an attacker has planted: other jobs are not affected."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs.engine.follow.follower import Follower
from tests.integration.harness import Harness
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("workers")

#: The data of a call of echo, as RQ stores it.
ECHO = json.dumps(["tests.jobs_for_tests.behaviours.echo", None, [], {"text": "hi"}])

Workers = subprocess.Popen[bytes]


@pytest.fixture
def same_worker(harness: Harness, workers: Workers) -> Any:
    """Check that the worker is still the same at the end of the test."""
    before = harness.worker_pids()
    yield
    assert harness.worker_pids() == before


def plant(harness: Harness, **fields: str | bytes) -> str:
    """Write a job to a queue, as an attacker with access to the broker could."""
    job_id = uuid4().hex
    record: dict[str, str | bytes] = {"status": "queued", "origin": "default", "timeout": "30"}
    harness.connection.hset(f"rq:job:{job_id}", mapping=record | fields)  # type: ignore[arg-type]
    harness.connection.rpush("rq:queue:default", job_id)
    return job_id


class Harm:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.mark.usefixtures("same_worker")
@pytest.mark.parametrize("fails", [False, True])
def test_a_forked_child_that_returns_does_not_end_its_parent_s_attempt(
    harness: Harness, tmp_path: Path, fails: bool
) -> None:
    mark = tmp_path / "mark"

    job = harness.run("return-in-a-forked-child", path=str(mark), fails=fails)

    assert (job.status, job.result, job.resumed) == ("completed", "the parent", 0)
    assert mark.read_text() == "the parent was here"


@pytest.mark.usefixtures("same_worker")
def test_a_function_that_writes_to_unknown_descriptors_does_no_harm(harness: Harness) -> None:
    assert harness.run("scribble").result == "done"


@pytest.mark.usefixtures("same_worker")
def test_a_function_that_closes_its_channel_is_killed_before_its_job_is_put_back(
    harness: Harness, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"

    job = harness.run("close-every-descriptor", path=str(effects))

    assert (job.status, job.error_type) == ("failed", "worker_lost")
    assert harness.run("sleep", seconds=3.5).status == "completed"
    assert not effects.exists()


@pytest.mark.usefixtures("same_worker")
@pytest.mark.parametrize(("how", "kind"), [("raise", "Indescribable"), ("exit", "SystemExit"), ("fatal", "Fatal")])
def test_an_exception_that_can_not_be_described_fails_its_job_at_once(harness: Harness, how: str, kind: str) -> None:
    job = harness.run("raise-the-indescribable", how=how)

    assert (job.status, job.error_type, job.resumed) == ("failed", kind, 0)
    assert job.error == f"The job failed with {kind}, which can't be described (KeyboardInterrupt)."


@pytest.mark.usefixtures("same_worker")
@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300"])
def test_a_job_can_not_be_retried_at_an_impossible_time(harness: Harness, seconds: str) -> None:
    job = harness.run("come-back", seconds=seconds)

    assert (job.status, job.error_type) == ("failed", "ValueError")


@pytest.mark.usefixtures("same_worker")
def test_a_report_accepts_unusual_numbers_and_texts(harness: Harness) -> None:
    job = harness.run("report-odd-values")

    assert (job.status, job.result, job.resumed) == ("completed", "done", 0)
    assert len(job.progress_message or "") == 500
    assert [len(line["message"]) for line in harness.client.logs(job.job_id).lines] == [8_000, 4]


@pytest.mark.usefixtures("same_worker")
def test_a_very_long_message_is_truncated(harness: Harness) -> None:
    job = harness.run("fail-with-a-long-message")

    assert job.error_type == "ValueError"
    assert job.error == ("no end " * 1_000)[:2_000]


@pytest.mark.usefixtures("same_worker")
def test_an_error_message_contains_neither_a_secret_of_data_dir_nor_a_path(harness: Harness) -> None:
    secret = harness.settings.signing_key
    kept = harness.settings.data_dir / "secret_key"

    job = harness.run("leak-secrets", path=str(kept))

    assert job.error == "[secret] of [path] and file://[path]"
    assert secret not in json.dumps(job.as_dict())


def test_a_function_that_breaks_the_horse_fails_only_its_own_job(harness: Harness) -> None:
    assert harness.run("break-json").error_type == "worker_lost"
    assert harness.run("echo", text="still running").status == "completed"


@pytest.mark.parametrize("as_ours", [False, True])
def test_a_planted_pickle_is_never_loaded(harness: Harness, tmp_path: Path, as_ours: bool) -> None:
    mark = tmp_path / "loaded"
    ours: dict[str, str | bytes] = {"version": "1", "type": "echo", "user": "alice"} if as_ours else {}

    planted = plant(harness, data=pickle.dumps(Harm(mark)), **ours)
    harness.until(harness.client.find(planted), lambda job: job.status != "pending")

    assert harness.ended(harness.submit("echo", text="still running"), timeout=60).status == "completed"
    assert not mark.exists()


def test_a_planted_function_is_never_run(harness: Harness, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    data = json.dumps(["os.mkdir", None, [str(mark)], {}])

    planted = harness.ended(harness.client.find(plant(harness, data=data)))

    assert planted.status == "failed"
    assert not mark.exists()


@pytest.mark.usefixtures("same_worker")
def test_many_references_to_a_long_result_fail_their_step(harness: Harness) -> None:
    from jobs.engine.client.pipelines import Step, submit_pipeline

    echo, count_items = harness.catalogue.find("echo"), harness.catalogue.find("count-items")
    text = {"text": "x" * 80_000}
    blown_up = {"items": [{"$ref": "#/steps/0/result"}] * 500}

    pipeline, _ = submit_pipeline(harness.client, [Step(echo, text), Step(count_items, blown_up)], "alice")

    _, last = json.loads(harness.connection.hget(f"wh:group:{pipeline}", "job_ids") or "[]")
    job = harness.ended(harness.client.find(last))
    assert job.error_type == "ReferenceUnresolved"
    assert "have more than 10,000,000 characters" in (job.error or "")


def test_an_unreadable_record_does_not_stop_the_followers_of_other_jobs(harness: Harness, follower: Follower) -> None:
    planted = plant(
        harness, status="scheduled", due="1e300", version="zz", meta="[1]", tags="{", attempt="x", origin="none"
    )

    assert harness.client.find(planted).scheduled_at is None
    assert follower.wait(planted, after=0, timeout=60).version == 1
    job = harness.submit("echo", text="still running")
    assert follower.wait(job.job_id, after=None, timeout=60).status == "completed"


UNREADABLE: dict[str, dict[str, str | bytes]] = {
    "without data": {},
    "data that is not JSON": {"data": b"{"},
    "data of another shape": {"data": b"{}"},
    "a function's name that is a list": {"data": json.dumps([["a"], None, [], {}])},
    "an attempt that is not a number": {"data": ECHO, "attempt": "first"},
    "attempts that are not a number": {"data": ECHO, "attempts": "many"},
    "a limit that is not a number": {"data": ECHO, "max_running": "few"},
    "limits that are not JSON": {"data": ECHO, "limits": "{"},
    "limits of another shape": {"data": ECHO, "limits": '[["a"]]'},
    "limits that are numbers": {"data": ECHO, "limits": "[1]"},
    "a deadline that is not a time": {"data": ECHO, "start_by": "soon"},
    "references that are not JSON": {"data": ECHO, "references": "{"},
    "references of another shape": {"data": ECHO, "references": "[[1]]"},
    "positions that are not a list": {"data": ECHO, "positions": "5"},
    "a user that is not UTF-8": {"data": ECHO, "user": b"\xff"},
    "endless nesting": {"data": b"[" * 100_000},
}


@pytest.mark.usefixtures("same_worker")
@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_record_fails_only_its_own_job(harness: Harness, fields: dict[str, str | bytes]) -> None:
    ours: dict[str, str | bytes] = {"version": "1", "type": "echo", "user": "alice"}
    planted = plant(harness, **(ours | fields))

    assert harness.run("echo", text="still running").status == "completed"
    record = harness.connection.hmget(f"rq:job:{planted}", "status", "error_type")
    assert record == [b"failed", b"UnreadableRecord"]
    assert harness.connection.exists("wh:suspects") == 0


@pytest.mark.usefixtures("same_worker")
def test_a_job_runs_although_its_progress_is_unreadable(harness: Harness) -> None:
    planted = plant(harness, version="1", type="echo", user="alice", data=ECHO, meta="}", resuming="1")

    assert harness.ended(harness.client.find(planted)).status == "completed"


@pytest.mark.usefixtures("same_worker")
def test_a_key_of_another_type_in_place_of_a_record_is_skipped(harness: Harness) -> None:
    harness.connection.set("rq:job:a-text", "no record")
    harness.connection.rpush("rq:queue:default", "a-text", b"\xff\xfe", "")

    assert harness.run("echo", text="still running").status == "completed"


@pytest.mark.usefixtures("same_worker")
@pytest.mark.parametrize("foreign", [False, True])
def test_an_id_that_is_not_utf_8_is_skipped(harness: Harness, foreign: bool) -> None:
    record = {"status": "queued", "origin": "default", "data": ECHO}
    ours = {} if foreign else {"version": "1", "type": "echo", "user": "alice"}
    harness.connection.hset(b"rq:job:\xff", mapping=record | ours)  # type: ignore[arg-type]
    harness.connection.rpush("rq:queue:default", b"\xff")

    assert harness.run("echo", text="still running").status == "completed"
    assert harness.connection.hexists(b"rq:job:\xff", "execution") is False


def test_planted_leases_times_and_expiries_do_not_stop_the_scheduler(harness: Harness, workers: Workers) -> None:
    connection = harness.connection
    connection.set("rq:job:a-text", "no record")
    members = {b"a-text:e": 0, b"no colon": 0, b"": 0, b"\xff:\xff": 0}
    connection.zadd("wh:leases", members)
    connection.zadd("wh:expiry", {b"no bars": 0, b"a|b|no status": 0, b"\xff|\xff|completed": 0})
    connection.zadd("rq:scheduled:default", {b"a-text": 0, b"\xff": 0})

    planted = ("wh:leases", "wh:expiry", "rq:scheduled:default")
    # No other entry has a time as early as 1970.
    eventually(lambda: not any(connection.zcount(key, 0, 0) for key in planted), "what was planted is gone")
    assert harness.run("echo", text="still running").status == "completed"
