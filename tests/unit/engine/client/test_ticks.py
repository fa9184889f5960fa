"""The ticks of schedules: overlaps, missed ticks, pauses and changes, on an imitation of the broker."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from jobs.engine.broker.store.outcome import Outcome as Ending
from jobs.engine.broker.store.outcome import OutcomeKind
from jobs.engine.broker.store.schedule_records import DueTick
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.catch_up import MAX_CAUGHT_UP
from jobs.engine.client.client import Client
from jobs.engine.client.schedule import NEVER, CatchUp, Outcome, Overlap, Plan, Schedule
from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.client.ticks import Ticks
from jobs.engine.errors import Conflict, InvalidRequest, ScheduleNotFound, TooManyActiveJobs
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis

#: Not due while a test runs.
RARE = "0 0 1 1 *"
JUST_NOW = 1.0


class World:
    """One schedule of alice, whose ticks come when a test says so."""

    def __init__(self, settings: Settings) -> None:
        self.connection: Any = ImitatedRedis(server=fakeredis.FakeServer(), protocol=2)
        self.connection.hset("wh:user:alice", "email", "alice@example.com")
        self.client = Client(self.connection, settings, Catalogue.discover(["tests.jobs_for_tests"]))
        self.schedules = Schedules(self.client)
        self.changes = ScheduleChanges(self.client)
        self.id = ""

    def create(
        self, overlap: str = "allow", catch_up: str = "one", cron: str = RARE, job_type: str = "noop", **params: Any
    ) -> str:
        plan = Plan(job_type, params, cron, overlap=Overlap(overlap), catch_up=CatchUp(catch_up))
        self.id = self.schedules.create("alice", plan).schedule_id
        return self.id

    @property
    def schedule(self) -> Schedule:
        return self.schedules.find(self.id)

    @property
    def outcomes(self) -> list[str]:
        """Return the outcomes of the last ticks, newest first."""
        return [run.outcome for run in self.schedules.runs(self.id)]

    def due(self, seconds_ago: float = JUST_NOW) -> None:
        self.connection.zadd("wh:schedules", {self.id: int(time.time() - seconds_ago)})

    def tick(self, seconds_ago: float = JUST_NOW) -> int:
        """Let a tick be due, and a scheduler see it. Return how many jobs it submitted."""
        self.due(seconds_ago)
        return Ticks(self.client).run_due()

    def end_next(self) -> str:
        claim = self.client.store.claim("host-1-w", "e1", ["high", "default", "low"])
        assert claim is not None
        self.client.store.finish(claim.job_id, "e1", "host-1-w", Ending(OutcomeKind("completed"), result="IjQyIg=="))
        return claim.job_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings(data_dir=tmp_path, secret_key="s" * 32))


# --- overlap -------------------------------------------------------------------------------


def test_an_overlap_is_allowed_by_default(world: World) -> None:
    world.create()
    assert [world.tick(3), world.tick(2)] == [1, 1]
    assert world.outcomes == ["started", "started"]


def test_a_tick_is_skipped_while_an_earlier_job_has_not_ended(world: World) -> None:
    world.create("skip")
    assert [world.tick(4), world.tick(3)] == [1, 0]
    world.end_next()
    assert world.tick(2) == 1
    assert world.outcomes == ["started", "skipped", "started"]
    assert world.schedule.next_run_at and world.schedule.next_run_at > datetime.now(UTC)


def test_a_tick_waits_for_the_earlier_job_and_further_ticks_are_skipped(world: World) -> None:
    world.create("wait")
    assert [world.tick(5), world.tick(4), world.tick(3)] == [1, 0, 0]
    assert world.outcomes == ["skipped", "waiting", "started"]
    assert Ticks(world.client).run_due() == 0
    first = world.end_next()

    assert [Ticks(world.client).run_due(), Ticks(world.client).run_due()] == [1, 0]

    assert world.outcomes == ["skipped", "started", "started"]
    second = world.end_next()
    assert [run.job_id for run in world.schedules.runs(world.id)] == [None, second, first]
    assert world.connection.zcard("wh:waiting_schedules") == 0


def test_the_tick_that_waits_goes_before_a_new_one(world: World) -> None:
    world.create("wait")
    world.tick(4), world.tick(3)
    world.end_next()
    assert world.tick(2) == 1
    assert world.outcomes == ["waiting", "started", "started"]


@pytest.mark.parametrize("job_type", ["once-a-word", "newest-word"])
def test_a_tick_that_meets_an_equal_job_is_skipped_and_names_it(world: World, job_type: str) -> None:
    unique = world.client.catalogue.find(job_type)
    job = world.client.submit(Submission(unique, {"word": "a"}, "alice")).job
    world.create(job_type=job_type, word="a")
    assert world.tick(4) == 0
    assert [(run.outcome, run.job_id) for run in world.schedules.runs(world.id)] == [(Outcome.SKIPPED, job.job_id)]
    assert (world.schedule.last_job_id, world.schedule.last_run_at) == (None, None)
    world.end_next()
    assert world.tick(3) == 1
    assert world.outcomes == ["started", "skipped"]
    assert world.schedule.last_job_id != job.job_id


def test_a_tick_that_waited_is_skipped_if_it_meets_an_equal_job(world: World) -> None:
    world.create("wait", job_type="once-a-word", word="a")
    assert [world.tick(5), world.tick(4)] == [1, 0]
    world.end_next()
    unique = world.client.catalogue.find("once-a-word")
    job = world.client.submit(Submission(unique, {"word": "a"}, "alice")).job
    assert Ticks(world.client).run_due() == 0
    assert world.outcomes == ["skipped", "started"]
    assert world.schedules.runs(world.id)[0].job_id == job.job_id
    assert world.connection.zcard("wh:waiting_schedules") == 0


def test_a_job_counts_until_the_last_of_all_has_ended(world: World) -> None:
    world.create("skip")
    world.tick(5)
    by_hand = world.changes.run_now(world.id)
    world.end_next()
    assert world.tick(4) == 0, "the one that was started by hand has not ended"
    assert world.end_next() == by_hand.job.job_id
    assert world.tick(3) == 1


def test_a_schedule_of_an_earlier_version_looks_at_its_last_job(world: World) -> None:
    world.create("skip")
    world.tick(5)
    world.connection.hdel(f"wh:schedule:{world.id}", "jobs", "revision")
    assert world.tick(4) == 0
    world.end_next()
    assert world.tick(3) == 1


def test_a_record_of_an_earlier_version_runs_as_before(world: World) -> None:
    world.create("skip", "none")
    old = {"job_type": "noop", "params": {}, "cron": RARE, "timezone": "UTC", "created_at": "2026-01-01T00:00:00+00:00"}
    world.connection.hset(f"wh:schedule:{world.id}", "record", json.dumps(old | {"admin": False}))
    assert (world.schedule.plan.overlap, world.schedule.plan.catch_up) == ("allow", "one")
    assert [world.tick(90_000), world.tick(80_000)] == [1, 1]


@pytest.mark.parametrize("overlap", Overlap)
def test_two_hosts_that_see_the_same_tick_decide_once(
    world: World, overlap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create(overlap)
    world.tick(5)
    world.due(3)
    seen = world.client.store.schedules.due(10)
    monkeypatch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
    jobs = Ticks(world.client).run_due() + Ticks(world.client).run_due()
    assert jobs == (1 if overlap == "allow" else 0)
    assert len(world.outcomes) == 2


def test_two_hosts_that_see_the_same_waiting_tick_start_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.end_next()
    seen = world.client.store.schedules.due(10)
    monkeypatch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
    assert [Ticks(world.client).run_due() for _ in range(2)] == [1, 0]
    assert world.outcomes == ["started", "started"]


def test_the_tick_that_waits_keeps_waiting_if_another_job_has_come_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.end_next()
    seen = world.client.store.schedules.due(10)
    world.changes.run_now(world.id)
    with monkeypatch.context() as patch:
        patch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
        assert Ticks(world.client).run_due() == 0
    world.end_next()
    assert Ticks(world.client).run_due() == 1
    assert world.outcomes == ["manual", "started", "started"]


def test_a_new_tick_does_not_go_before_one_that_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.due(3)
    seen = world.client.store.schedules.due(10)
    assert [each.waited for each in seen[1]] == [False]
    world.end_next()
    with monkeypatch.context() as patch:
        patch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
        assert Ticks(world.client).run_due() == 0
    assert world.outcomes == ["skipped", "waiting", "started"]


def test_each_of_thousands_of_waiting_ticks_has_its_turn(world: World) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.end_next()
    busy = [f"busy-{number}" for number in range(600)]
    world.connection.hset("rq:job:busy", "status", "started")
    for name in busy:
        world.connection.hset(f"wh:schedule:{name}", mapping={"waiting": 1, "last_job_id": "busy"})
    world.connection.zadd("wh:waiting_schedules", dict.fromkeys(busy, 0))
    assert [Ticks(world.client).run_due() for _ in range(3)] == [0, 0, 1]


def test_deleting_a_schedule_whose_tick_waits_leaves_nothing(world: World) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    seen: list[DueTick] = []
    world.end_next()
    seen += world.client.store.schedules.due(10)[1]
    world.schedules.delete(world.id)
    assert world.connection.keys("wh:*schedule*") == []
    assert [each.waited for each in seen] == [True]
    assert Ticks(world.client).run_due() == 0
    assert world.connection.keys("wh:*schedule*") == []


def test_planted_records_do_not_stop_the_schedules(world: World) -> None:
    world.create("wait")
    planted = {"wh:schedules": {"text": 1, "gone": 1}, "wh:waiting_schedules": {b"\xff": 0, "gone": 0, "text": 0}}
    world.connection.set("wh:schedule:text", "x")
    world.connection.set("rq:job:text", "x")
    for key, members in planted.items():
        world.connection.zadd(key, members)
    world.connection.hset(f"wh:schedule:{world.id}", mapping={"jobs": "text gone", "waiting": "nonsense"})
    world.connection.lpush(f"wh:schedule:{world.id}:runs", "x y z")
    assert [world.tick(5), world.tick(4)] == [1, 0]
    assert world.outcomes[0] in ("waiting", "skipped")
    assert world.schedule.last_job_id


# --- missed ticks ----------------------------------------------------------------------------


def test_missed_ticks_are_skipped_and_recorded(world: World) -> None:
    world.create(catch_up="none")
    assert world.tick(3600) == 0
    assert world.outcomes == ["missed"]
    assert world.schedule.last_job_id is None


def test_missed_ticks_are_caught_up_one_by_one_at_their_own_time(world: World) -> None:
    world.create(catch_up="all", cron="0 * * * *")
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=number) for number in range(4)]
    world.connection.zadd("wh:schedules", {world.id: int(hours[-1].timestamp())})

    assert [Ticks(world.client).run_due(), Ticks(world.client).run_due()] == [4, 0]

    runs = world.schedules.runs(world.id)
    assert [(run.due_at, run.outcome) for run in runs] == [(hour, "started") for hour in hours]
    assert len({run.job_id for run in runs}) == 4


def test_at_most_a_hundred_missed_ticks_are_caught_up(world: World) -> None:
    world.create(catch_up="all", cron="0 * * * *")
    assert world.tick(1_000 * 3600) == MAX_CAUGHT_UP
    assert world.outcomes == ["started"] * 20


def test_ticks_that_are_caught_up_respect_the_overlap(world: World) -> None:
    world.create("wait", "all", "0 * * * *")
    assert world.tick(4 * 3600) == 1
    assert world.outcomes[-2:] == ["waiting", "started"]
    assert set(world.outcomes[:-2]) == {"skipped"}


def test_a_host_that_dies_while_it_catches_up_leaves_the_rest_to_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create(catch_up="all", cron="0 * * * *")
    submit, calls = world.client.store.submit, []

    def die_at_the_third(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return submit(*arguments)

    monkeypatch.setattr(world.client.store, "submit", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        world.tick(5 * 3600 - 1800)
    monkeypatch.undo()
    assert world.outcomes == ["started", "started"]

    Ticks(world.client).run_due()
    runs = world.schedules.runs(world.id)
    gaps = {later.due_at - earlier.due_at for later, earlier in pairwise(runs[:-1])}
    assert gaps == {timedelta(hours=1)}
    assert len({run.job_id for run in runs}) == len(runs) >= 5


# --- pauses ----------------------------------------------------------------------------------


def test_a_paused_schedule_has_no_tick(world: World) -> None:
    world.create()
    paused = world.changes.pause(world.id, "bob", "month end", None)
    assert paused.paused and (paused.paused.by, paused.paused.reason) == ("bob", "month end")
    assert paused.next_run_at is None
    assert world.connection.zscore("wh:schedules", world.id) == NEVER
    assert Ticks(world.client).run_due() == 0


def test_a_pause_wins_over_a_tick_that_a_scheduler_has_already_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create()
    world.due()
    seen = world.client.store.schedules.due(10)
    monkeypatch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
    world.changes.pause(world.id, "alice", None, None)
    assert Ticks(world.client).run_due() == 0
    assert world.outcomes == []


def test_pausing_again_with_the_same_words_changes_nothing(world: World) -> None:
    world.create()
    first = world.changes.pause(world.id, "alice", "why", None).paused
    assert world.changes.pause(world.id, "bob", "why", None).paused == first
    changed = world.changes.pause(world.id, "bob", "other", None).paused
    assert changed and (changed.by, changed.reason) == ("bob", "other")


def test_ticks_of_a_pause_are_not_caught_up(world: World) -> None:
    world.create(catch_up="all", cron="* * * * *")
    world.due(1_000)
    world.changes.pause(world.id, "alice", None, None)
    resumed = world.changes.resume(world.id)
    assert resumed.paused is None
    assert resumed.next_run_at and resumed.next_run_at > datetime.now(UTC)
    assert world.outcomes == []


def test_a_pause_with_an_end_resumes_by_itself_at_the_first_tick_after_it(world: World) -> None:
    world.create(cron="0 * * * *")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=5)
    paused = world.changes.pause(world.id, "alice", None, hour)
    assert paused.next_run_at == hour
    later = world.changes.pause(world.id, "alice", None, hour + timedelta(seconds=1))
    assert later.next_run_at == hour + timedelta(hours=1)

    pause = {"at": "2026-01-01T00:00:00Z", "by": "alice", "reason": None, "until": "2026-01-02T00:00:00Z"}
    world.connection.hset(f"wh:schedule:{world.id}", "paused", json.dumps(pause))
    assert world.schedule.paused is None
    assert world.tick() == 1
    assert not world.connection.hexists(f"wh:schedule:{world.id}", "paused")


def test_a_pause_can_not_end_in_the_past(world: World) -> None:
    world.create()
    with pytest.raises(InvalidRequest, match="/until"):
        world.changes.pause(world.id, "alice", None, datetime.now(UTC) - timedelta(seconds=5))
    assert world.schedule.paused is None


def test_a_pause_skips_the_tick_that_waits(world: World) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.changes.pause(world.id, "alice", None, None)
    world.end_next()
    assert Ticks(world.client).run_due() == 0
    assert world.outcomes == ["skipped", "started"]


def test_a_pause_survives_a_change_of_the_cron_line(world: World) -> None:
    world.create()
    world.changes.pause(world.id, "alice", None, None)
    edited = world.changes.edit(world.id, {"cron": "* * * * *"})
    assert (edited.next_run_at, edited.plan.cron) == (None, "* * * * *")
    assert edited.paused


def test_ten_thousand_paused_schedules_cost_a_pass_nothing(world: World) -> None:
    world.create()
    world.connection.zadd("wh:schedules", {f"paused-{number}": NEVER for number in range(10_000)})
    world.due()
    assert [each.schedule_id for each in world.client.store.schedules.due(100)[1]] == [world.id]


# --- changes and calls -----------------------------------------------------------------------


def test_a_change_of_the_cron_line_moves_the_next_tick_and_keeps_the_history(world: World) -> None:
    world.create()
    world.tick()
    before = world.schedule
    edited = world.changes.edit(world.id, {"cron": "30 4 * * *", "timezone": "Europe/Berlin", "overlap": Overlap.SKIP})
    assert edited.next_run_at != before.next_run_at
    assert edited.next_run_at == edited.plan.next_tick(datetime.now(UTC))
    assert (edited.created_at, edited.last_job_id) == (before.created_at, before.last_job_id)
    assert world.outcomes == ["started"]


def test_a_change_of_the_parameters_keeps_the_next_tick(world: World) -> None:
    world.create()
    world.due(-600)
    tick = world.schedule.next_run_at
    edited = world.changes.edit(world.id, {"job_type": "echo", "params": {"text": "new"}})
    assert (edited.next_run_at, edited.plan.params) == (tick, {"text": "new"})


def test_a_tick_that_was_read_before_a_change_runs_with_the_new_plan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create()
    world.due()
    seen = world.client.store.schedules.due(10)
    world.changes.edit(world.id, {"job_type": "echo", "params": {"text": "new"}})
    with monkeypatch.context() as patch:
        patch.setattr(world.client.store.schedules, "due", lambda _at_most: seen)
        assert Ticks(world.client).run_due() == 0
    assert Ticks(world.client).run_due() == 1
    assert [job.job_type for job in world.client.page("alice").jobs] == ["echo"]


def test_two_changes_at_the_same_time_both_remain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create()
    records = world.client.store.schedules
    write, others = records.change, iter([{"overlap": Overlap.WAIT}])

    def write_after_another(*arguments: Any, **more: Any) -> Any:
        for other in others:
            ScheduleChanges(world.client).edit(world.id, other)
        return write(*arguments, **more)

    monkeypatch.setattr(records, "change", write_after_another)
    edited = world.changes.edit(world.id, {"catch_up": CatchUp.ALL})
    assert (edited.plan.overlap, edited.plan.catch_up) == ("wait", "all")


def test_a_change_that_others_keep_overtaking_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create()
    records = world.client.store.schedules
    write = records.change

    def overtaken(*arguments: Any, **more: Any) -> Any:
        world.connection.hincrby(f"wh:schedule:{world.id}", "revision", 1)
        return write(*arguments, **more)

    monkeypatch.setattr(records, "change", overtaken)
    with pytest.raises(Conflict, match="at the same time"):
        world.changes.resume(world.id) if world.schedule.paused else world.changes.pause(world.id, None, None, None)


def test_an_overlap_that_may_no_longer_wait_skips_the_tick_that_waits(world: World) -> None:
    world.create("wait")
    world.tick(5), world.tick(4)
    world.changes.edit(world.id, {"overlap": Overlap.SKIP})
    assert world.outcomes == ["skipped", "started"]


def test_run_now_starts_a_job_even_of_a_paused_schedule(world: World) -> None:
    world.create("skip")
    world.changes.pause(world.id, "alice", None, None)
    jobs = [world.changes.run_now(world.id).job.job_id for _ in range(2)]
    assert world.outcomes == ["manual", "manual"]
    assert [run.job_id for run in world.schedules.runs(world.id)] == jobs[::-1]
    assert world.schedule.last_job_id == jobs[1]
    assert world.schedule.paused


def test_run_now_returns_an_equal_job_and_records_that_it_started_none(world: World) -> None:
    world.create(job_type="once-a-word", word="a")
    first, again = world.changes.run_now(world.id), world.changes.run_now(world.id)
    assert (first.deduplicated, again.deduplicated) == (False, True)
    assert again.job.job_id == first.job.job_id
    assert world.outcomes == ["skipped", "manual"]
    assert {run.job_id for run in world.schedules.runs(world.id)} == {first.job.job_id}


def test_run_now_respects_the_limit_of_the_owner(tmp_path: Path) -> None:
    world = World(Settings(data_dir=tmp_path, secret_key="s" * 32, max_active_jobs_per_user=1))
    world.create()
    world.changes.run_now(world.id)
    with pytest.raises(TooManyActiveJobs):
        world.changes.run_now(world.id)
    assert world.outcomes == ["manual"]


def test_run_now_of_a_schedule_that_was_deleted_meanwhile_stores_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create()
    submit = world.client.store.submit

    def delete_first(*arguments: Any) -> Any:
        world.schedules.delete(world.id)
        return submit(*arguments)

    monkeypatch.setattr(world.client.store, "submit", delete_first)
    with pytest.raises(ScheduleNotFound):
        world.changes.run_now(world.id)
    assert world.client.page("alice").jobs == []
    assert world.connection.keys("wh:schedule*") == []


def test_parameters_that_are_no_longer_valid_refuse_the_tick_and_the_call(world: World) -> None:
    world.create()
    record = json.loads(world.connection.hget(f"wh:schedule:{world.id}", "record"))
    world.connection.hset(f"wh:schedule:{world.id}", "record", json.dumps(record | {"params": {"gone": 1}}))
    assert world.tick() == 0
    assert world.outcomes == ["refused"]
    assert world.schedule.problem and "gone" in world.schedule.problem
    with pytest.raises(Conflict, match="edit it first"):
        world.changes.run_now(world.id)
    assert world.changes.edit(world.id, {"params": {}}).plan.params == {}
    assert world.tick(0.6) == 1
    assert world.schedule.problem is None


def test_the_history_keeps_the_last_twenty_ticks(world: World) -> None:
    world.create()
    for number in range(25):
        world.tick(60 - number)
    assert world.outcomes == ["started"] * 20
