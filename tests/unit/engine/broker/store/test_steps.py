"""The steps of a job's life: functions in the broker, replays after a lost reply, and records of the version before."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from jobs.engine.broker.store import scripts
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.sources import functions
from jobs.engine.broker.store.store import Store
from jobs.engine.operate.doctor import Doctor

QUEUES = ("high", "default", "low")
COMPLETED = Outcome(OutcomeKind.COMPLETED, result="bnVsbA==")
DATA = b'["m.noop",null,[],{"a":1}]'


@pytest.fixture
def store(connection: redis.Redis) -> Store:
    return Store(connection)


def submit(store: Store, *job_ids: str) -> None:
    for job_id in job_ids:
        description: dict[str, Any] = {"id": job_id, "type": "noop", "queue": "default", "timeout": 60}
        description |= {"max_attempts": 1, "result_ttl": 600, "failure_ttl": 600}
        assert store.submit({"user": "ann"}, [(description, DATA)]).subject_id == job_id


def claim(store: Store, execution: str) -> Claim:
    claimed = store.claim("host-1-w", execution, QUEUES)
    assert isinstance(claimed, Claim)
    return claimed


def finish_and_claim(store: Store, claimed: Claim, execution: str) -> tuple[OutcomeKind | None, Any]:
    job_id, ended = claimed.job_id, claimed.execution
    return store.finish_and_claim(job_id, ended, "host-1-w", COMPLETED, claim_next=execution, queues=QUEUES)


# --- functions ------------------------------------------------------------------------


def libraries(connection: Any) -> set[str]:
    return {
        dict(zip(each[::2], each[1::2], strict=True))[b"library_name"].decode() for each in connection.function_list()
    }


def test_a_broker_that_has_lost_the_functions_gets_them_again(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    connection.function_flush()
    assert claim(store, "e1").job_id == "a"
    assert libraries(connection) == {functions().name}


def test_the_functions_of_the_last_versions_stay_and_those_of_older_ones_go(
    store: Store, connection: redis.Redis
) -> None:
    for number in range(scripts.KEEP_LIBRARIES):
        text = f"#!lua name=workhorse_{number}\nredis.register_function('f{number}', function() return 1 end)"
        connection.function_load(text)
        connection.zadd("wh:functions", {f"workhorse_{number}": number})
    submit(store, "a")
    assert libraries(connection) == {"workhorse_1", "workhorse_2", functions().name}
    assert connection.zrange("wh:functions", 0, -1) == [b"workhorse_1", b"workhorse_2", functions().name.encode()]


# --- commands ----------------------------------------------------------------------------


def commands(connection: redis.Redis) -> int:
    """Return how many commands the broker has run, inside its functions and outside."""
    stats: Any = connection.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if name not in ("cmdstat_info", "cmdstat_fcall"))


def test_a_job_without_options_costs_the_broker_few_commands(store: Store, connection: redis.Redis) -> None:
    connection.hset("rq:worker:host-1-w", "birth", "now")
    submit(store, "a", "b", "c")
    claimed = finish_and_claim(store, claim(store, "e1"), "e2")[1]

    before = commands(connection)
    submit(store, "d")
    submitted = commands(connection)
    finish_and_claim(store, claimed, "e3")
    finished = commands(connection)

    assert (submitted - before, finished - submitted) == (15, 49)


# --- a finish with the next claim ---------------------------------------------------------


def test_a_finish_claims_the_next_job_in_the_same_step(store: Store, connection: redis.Redis) -> None:
    submit(store, "a", "b")
    ended, following = finish_and_claim(store, claim(store, "e1"), "e2")
    assert (ended, following.job_id, following.execution) == ("completed", "b", "e2")
    fields = ("state", "current_job", "execution", "successful_job_count")
    assert connection.hmget("rq:worker:host-1-w", *fields) == [b"busy", b"b", b"e2", b"1"]


def test_the_worker_is_idle_after_the_last_job(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    assert finish_and_claim(store, claim(store, "e1"), "e2") == ("completed", None)
    fields = ("state", "current_job", "execution")
    assert connection.hmget("rq:worker:host-1-w", *fields) == [b"idle", None, None]


def test_a_repeated_finish_returns_the_same_claim(store: Store, connection: redis.Redis) -> None:
    submit(store, "a", "b", "c")
    first = claim(store, "e1")
    _ended, following = finish_and_claim(store, first, "e2")
    assert finish_and_claim(store, first, "e2") == (None, following)
    assert connection.lrange("rq:queue:default", 0, -1) == [b"c"]
    assert connection.hget("rq:worker:host-1-w", "successful_job_count") == b"1"


def test_an_execution_that_lost_its_job_can_still_claim(store: Store, connection: redis.Redis) -> None:
    submit(store, "a", "b")
    first = claim(store, "e1")
    connection.hset("rq:job:a", "execution", "another")
    ended, following = finish_and_claim(store, first, "e2")
    assert (ended, following.job_id) == (None, "b")
    assert connection.hget("rq:job:a", "status") == b"started"


def test_a_claim_that_fails_does_not_hide_the_end_of_the_job(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    first = claim(store, "e1")
    connection.set("rq:queue:default", "not a list")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        finish_and_claim(store, first, "e2")
    assert connection.hget("rq:job:a", "status") == b"finished"


# --- records of the version before -----------------------------------------------------------


def make_older(connection: redis.Redis, job_id: str) -> None:
    """Remove what the version before did not write."""
    assert connection.hdel(f"rq:job:{job_id}", "score") == 1


def test_a_job_that_the_version_before_stored_runs_and_keeps_its_place(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    make_older(connection, "a")
    score = connection.zscore("wh:jobs:ann:pending", "a")
    claimed = claim(store, "e1")
    assert claimed.order.params == {"a": 1}
    assert connection.zscore("wh:jobs:ann:running", "a") == score
    assert finish_and_claim(store, claimed, "e2") == ("completed", None)
    assert connection.zscore("wh:jobs:ann:completed", "a") == score
    assert Doctor(store).examine() == []


def test_a_job_that_the_version_before_claimed_is_finished(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    claimed = claim(store, "e1")
    make_older(connection, "a")
    assert store.finish("a", claimed.execution, "", COMPLETED) == "completed"
    assert connection.hget("rq:worker:host-1-w", "state") == b"idle"
    assert Doctor(store).examine() == []


def test_counts_of_the_version_before_are_added_to(store: Store, connection: redis.Redis) -> None:
    connection.hset("wh:metrics:run", mapping={"noop|0.5": 1, "noop|sum": "0.25"})
    submit(store, "a")
    store.finish("a", claim(store, "e1").execution, "host-1-w", COMPLETED)
    counts = connection.hgetall("wh:metrics:run")
    assert counts[b"noop|sum"] == b"0.25"
    assert int(counts[b"noop|micros"]) > 0


# --- what a claim returns -------------------------------------------------------------------


def test_a_job_that_ran_before_is_claimed_with_its_checkpoint(store: Store, connection: redis.Redis) -> None:
    submit(store, "a")
    first = claim(store, "e1")
    store.report("a", "e1", checkpoint='{"row":3}')
    store.finish("a", "e1", "host-1-w", Outcome(OutcomeKind.RESUMED, reason="shutdown"))
    assert (first.order.checkpoint, claim(store, "e2").order.checkpoint) == ({}, {"row": 3})


def test_a_finish_does_not_bring_back_an_expired_record_of_a_worker_for_good(
    store: Store, connection: redis.Redis
) -> None:
    submit(store, "a")
    claimed = claim(store, "e1")
    connection.delete("rq:worker:host-1-w")
    finish_and_claim(store, claimed, "e2")
    assert 0 < connection.ttl("rq:worker:host-1-w") <= 80
