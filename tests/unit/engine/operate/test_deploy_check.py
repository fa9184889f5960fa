"""The deploy check: which jobs and schedules this code can't run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from rq import Queue

from jobs.engine.author.decorator import job
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.operate.deploy_check import DeployCheck, Mismatch
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis


@job
def greet(name: str) -> str:
    return name


@job(name="greet")
def greet_with_age(age: int) -> int:
    return age


class World:
    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir)
        self.connection: Any = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
        self.connection.hset("wh:user:alice", "email", "alice@example.com")
        self.client = Client(self.connection, self.settings, Catalogue([JobType.of(greet)]))

    def submit(self, **options: Any) -> str:
        submission = Submission(self.client.catalogue["greet"], {"name": "Ann"}, "alice", **options)
        return self.client.submit(submission).job.job_id

    def check(self, *functions: Any) -> tuple[DeployCheck, list[Mismatch]]:
        check = DeployCheck(self.client.store, Catalogue(map(JobType.of, functions)), self.settings)
        return check, list(check.mismatches())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_jobs_that_the_code_can_run_are_counted(world: World) -> None:
    world.submit()
    world.submit(delay_seconds=60)
    check, mismatches = world.check(greet)
    assert (check.jobs, mismatches) == (2, [])


def test_a_job_whose_function_was_removed_is_a_mismatch(world: World) -> None:
    job_id = world.submit()
    _, (mismatch,) = world.check()
    assert (mismatch.what, mismatch.id, mismatch.job_type, mismatch.state) == ("job", job_id, "greet", "queued")
    assert f"job {job_id} (greet, queued): function {__name__}.greet is no longer in the catalogue" == str(mismatch)


def test_a_function_that_has_moved_is_named(world: World) -> None:
    world.submit()
    _, (mismatch,) = world.check(greet_with_age)
    assert f"but greet is now {__name__}.greet_with_age; keep the old name" in str(mismatch)


def test_a_job_that_ends_meanwhile_is_reported_once(world: World) -> None:
    job_id = world.submit()
    world.connection.zadd("rq:scheduled:default", {job_id: 9e9})  # as if it moved during the check
    _, mismatches = world.check()
    assert [each.id for each in mismatches] == [job_id]


def test_ended_jobs_and_pickled_jobs_are_not_checked(world: World) -> None:
    world.client.cancel(world.submit())
    Queue("default", connection=world.connection).enqueue("pickled.function")
    _, mismatches = world.check()
    assert mismatches == []


def test_a_mismatch_as_json_names_its_faults(world: World) -> None:
    world.submit()
    _, (mismatch,) = world.check()
    document = json.loads(json.dumps(mismatch.as_dict()))
    assert document["faults"][0]["code"] == "unknown_function"


@pytest.mark.parametrize("record", ["garbage", "5", "{}", '{"job_type": "greet"}', '{"job_type": 5, "params": 5}'])
def test_a_malformed_schedule_does_not_stop_the_check(world: World, record: str) -> None:
    job_id = world.submit()
    world.connection.hset("wh:schedule:malformed", mapping={"user": "alice", "record": record})
    world.connection.zadd("wh:schedules", {"malformed": 1})
    _, mismatches = world.check()
    assert job_id in [each.id for each in mismatches]


def test_a_job_of_another_type_does_not_stop_the_check(world: World) -> None:
    job_id = world.submit()
    world.connection.set("rq:job:malformed", "not a hash")
    world.connection.rpush("rq:queue:default", "malformed")
    _, mismatches = world.check()
    assert [each.id for each in mismatches] == [job_id]
