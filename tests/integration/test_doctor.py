"""The doctor on a real broker: it finds nothing on a healthy system, and finds and repairs each kind of damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue

from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.broker.store.verdicts import SubmitVerdict
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.operate.doctor import Doctor
from jobs.engine.operate.findings import Damage, Finding
from jobs.engine.settings import Settings

QUEUES = ("high", "default", "low")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("doctor"), redis_url=None)
    with EmbeddedBroker(settings, say=lambda sentence: None):
        yield settings


@pytest.fixture
def connection(settings: Settings) -> Iterator[redis.Redis]:
    with connect(settings) as connection:
        connection.flushall()
        yield connection


@pytest.fixture
def store(connection: redis.Redis) -> Store:
    return Store(connection)


@pytest.fixture
def doctor(store: Store) -> Doctor:
    return Doctor(store)


def submit(store: Store, job_id: str, queue: str = "default", **more: object) -> str:
    description = {
        "id": job_id,
        "type": "noop",
        "queue": queue,
        "timeout": 60,
        "max_attempts": 1,
        "result_ttl": 600,
        "failure_ttl": 600,
        **more,
    }
    reply = store.submit({"user": "ann"}, [(description, b'["m.noop",null,[],{}]')])
    assert reply.verdict is SubmitVerdict.STORED
    return job_id


def claim(store: Store, execution: str = "e1") -> Claim:
    claimed = store.claim("host-1-w", execution, QUEUES)
    assert isinstance(claimed, Claim)
    store.heartbeat("host-1-w", claimed.job_id, execution, 60)
    return claimed


def finish(store: Store, claimed: Claim, kind: str = "completed") -> OutcomeKind | None:
    outcome = Outcome(OutcomeKind(kind), "no", "ValueError")
    return store.finish(claimed.job_id, claimed.execution, "host-1-w", outcome)


def started(store: Store) -> str:
    submit(store, "a")
    return claim(store).job_id


def ended(store: Store) -> str:
    submit(store, "a")
    assert finish(store, claim(store)) == "completed"
    return "a"


def damages(findings: list[Finding]) -> set[Damage]:
    return {finding.damage for finding in findings}


# --- health ---------------------------------------------------------------------------


def test_healthy_jobs_in_every_state_give_no_finding(store: Store, doctor: Doctor, connection: redis.Redis) -> None:
    submit(store, "done", queue="high")
    finish(store, claim(store))
    submit(store, "failed", queue="high")
    finish(store, claim(store), "failed")
    submit(store, "running", queue="high")
    claim(store, "e2")
    submit(store, "queued")
    submit(store, "later", delay=60)
    submit(store, "waiting", depends_on=["queued"])
    submit(store, "doomed", depends_on=["failed"])
    submit(store, "gone")
    store.cancel("gone")
    assert doctor.examine() == []
    assert connection.hget("rq:job:doomed", "status") == b"canceled"


def test_a_retried_job_may_be_in_its_queue_twice_after_a_cancellation(store: Store, doctor: Doctor) -> None:
    submit(store, "a")
    store.cancel("a")
    store.retry("a", 1_000)
    assert doctor.examine() == []
    claim(store)
    assert doctor.examine() == []


def test_a_waiting_job_of_plain_rq_gives_no_finding(doctor: Doctor, connection: redis.Redis) -> None:
    Queue("low", connection=connection, serializer="json").enqueue("m.f")
    assert doctor.examine() == []


def test_expired_jobs_give_no_finding_before_the_sweep(store: Store, doctor: Doctor) -> None:
    ended(store)
    store.connection.delete("rq:job:a", "wh:events:a", "rq:results:a")
    store.connection.zadd("rq:finished:default", {"a": 1})
    assert doctor.examine() == []


def test_a_job_that_waits_for_a_limit_gives_no_finding(store: Store, doctor: Doctor, connection: redis.Redis) -> None:
    _limited(store, connection)
    assert doctor.examine() == []


def test_a_slot_without_a_job_is_freed_for_the_next_job(store: Store, doctor: Doctor, connection: redis.Redis) -> None:
    submit(store, "b", max_running=1)
    connection.sadd("wh:slots:type:noop", "gone")
    store.announce("host-1", (), QUEUES, 600)
    assert store.claim("host-1-w", "e1", QUEUES) is None
    doctor.repair(doctor.examine())
    assert claim(store, "e2").job_id == "b"


# --- damage ----------------------------------------------------------------------------


def _queued_in_no_list(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.lrem("rq:queue:default", 0, "a")


def _queued_twice(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.rpush("rq:queue:default", "a")


def _in_another_queue(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.rpush("rq:queue:high", "a")
    redis.sadd("rq:queues", "rq:queue:high")


def _queued_and_scheduled(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.zadd("rq:scheduled:default", {"a": 9e9})


def _started_and_queued(store: Store, redis: redis.Redis) -> None:
    started(store)
    redis.rpush("rq:queue:default", "a")


def _scheduled_in_no_registry(store: Store, redis: redis.Redis) -> None:
    submit(store, "a", delay=600)
    redis.zrem("rq:scheduled:default", "a")


def _deferred_in_no_registry(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    submit(store, "b", depends_on=["a"])
    redis.zrem("rq:deferred:default", "b")


def _deferred_unknown_to_its_dependency(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    submit(store, "b", depends_on=["a"])
    redis.delete("rq:job:a:dependents")


def _deferred_after_its_dependency_ended(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    submit(store, "b", depends_on=["a"])
    redis.delete("rq:job:a:dependents")
    finish(store, claim(store))


def _deferred_after_its_dependency_failed(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    submit(store, "b", depends_on=["a"])
    redis.delete("rq:job:a:dependents")
    finish(store, claim(store), "failed")


def _deferred_after_its_dependency_expired(store: Store, redis: redis.Redis) -> None:
    _deferred_after_its_dependency_ended(store, redis)
    redis.delete("rq:job:a", "wh:events:a", "rq:results:a")


def _started_without_lease(store: Store, redis: redis.Redis) -> None:
    started(store)
    redis.delete("wh:leases")


def _started_without_execution(store: Store, redis: redis.Redis) -> None:
    started(store)
    redis.hdel("rq:job:a", "execution")


def _started_without_execution_record(store: Store, redis: redis.Redis) -> None:
    started(store)
    redis.delete("rq:execution:a:e1")


def _lease_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:leases", {"gone:e1": 1})


def _suspect_without_job(store: Store, redis: redis.Redis) -> None:
    redis.hset("wh:suspects", "gone:e1", "1")


def _wip_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("rq:wip:default", {"gone:e1": 9e9})


def _lease_of_an_older_execution(store: Store, redis: redis.Redis) -> None:
    started(store)
    redis.zadd("wh:leases", {"a:e0": 1})


def _ended_and_held(store: Store, redis: redis.Redis) -> None:
    ended(store)
    redis.hset("rq:job:a", "execution", "e1")
    redis.zadd("wh:leases", {"a:e1": 1})
    redis.zadd("rq:wip:default", {"a:e1": 9e9})


def _execution_record_without_job(store: Store, redis: redis.Redis) -> None:
    redis.hset("rq:execution:gone:e1", "id", "e1")


def _execution_entry_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("rq:executions:gone", {"e1": 9e9})


def _indexed_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:jobs:ann:pending", {"gone": 1})


def _indexed_in_the_wrong_status(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.zadd("wh:jobs:ann:completed", {"a": 1})


def _indexed_for_another_user(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.zadd("wh:jobs:bob:pending", {"a": 1})


def _not_indexed(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.delete("wh:jobs:ann:pending")


def _ended_without_expiry(store: Store, redis: redis.Redis) -> None:
    redis.persist(f"rq:job:{ended(store)}")


def _ended_and_never_swept(store: Store, redis: redis.Redis) -> None:
    ended(store)
    redis.delete("wh:expiry")


def _live_and_expiring(store: Store, redis: redis.Redis) -> None:
    redis.expire(f"rq:job:{submit(store, 'a')}", 600)


def _live_and_to_be_swept(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:expiry", {f"{submit(store, 'a')}|ann|failed": 1})


def _limited(store: Store, redis: redis.Redis) -> None:
    submit(store, "a", max_running=1)
    submit(store, "b", max_running=1)
    started = claim(store)
    assert store.claim("host-2-w", "e2", QUEUES) is None
    assert started.job_id == "a" and redis.hget("rq:job:b", "reason") == b"limited"


def _limited_but_not_set_aside(store: Store, redis: redis.Redis) -> None:
    _limited(store, redis)
    redis.delete("wh:limited:default:type:noop")


def _slot_without_job(store: Store, redis: redis.Redis) -> None:
    redis.sadd("wh:slots:type:noop", "gone")


def _called_without_job(store: Store, redis: redis.Redis) -> None:
    redis.sadd("wh:called:type:noop", "gone")


def _unique_key_without_job(store: Store, redis: redis.Redis) -> None:
    redis.set("wh:unique:0123", "gone")


def _deadline_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:start_by", {"gone": 9_999_999_999})


def _set_aside_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:limited:default:type:noop", {"gone": 1})


def _queued_and_set_aside(store: Store, redis: redis.Redis) -> None:
    submit(store, "a")
    redis.zadd("wh:limited:default:type:noop", {"a": 1})


def _scheduled_entry_without_job(store: Store, redis: redis.Redis) -> None:
    redis.zadd("rq:scheduled:default", {"gone": 9e9})


def _events_without_job(store: Store, redis: redis.Redis) -> None:
    redis.rpush("wh:events:gone", "{}")


def _logs_without_job(store: Store, redis: redis.Redis) -> None:
    redis.rpush("wh:logs:gone", "{}")


def _checkpoint_without_job(store: Store, redis: redis.Redis) -> None:
    redis.set("wh:checkpoint:gone", "{}")


def _results_without_job(store: Store, redis: redis.Redis) -> None:
    redis.xadd("rq:results:gone", {"type": "1"})


def _dependents_without_job(store: Store, redis: redis.Redis) -> None:
    redis.sadd("rq:job:gone:dependents", "x")


def _immortal_worker(store: Store, redis: redis.Redis) -> None:
    redis.hset("rq:worker:dead", "state", "busy")


def _plain_rq_job_in_no_list(store: Store, redis: redis.Redis) -> None:
    job = Queue("low", connection=redis, serializer="json").enqueue("m.f")
    redis.lrem("rq:queue:low", 0, job.id)


def _entries_that_are_not_text(store: Store, redis: redis.Redis) -> None:
    redis.zadd("wh:leases", {b"\xff:\xff": 0})
    redis.zadd(b"wh:jobs:\xff:pending", {b"\xff": 0})


def _text_instead_of_a_record(store: Store, redis: redis.Redis) -> None:
    redis.set("rq:job:a", "not a hash")


Plant = Callable[[Store, redis.Redis], None]

PLANTED: list[tuple[Plant, Damage]] = [
    (_queued_in_no_list, Damage.IN_NO_LIST),
    (_queued_twice, Damage.IN_TWO_LISTS),
    (_in_another_queue, Damage.IN_TWO_LISTS),
    (_queued_and_scheduled, Damage.IN_TWO_LISTS),
    (_started_and_queued, Damage.IN_TWO_LISTS),
    (_scheduled_in_no_registry, Damage.IN_NO_LIST),
    (_deferred_in_no_registry, Damage.IN_NO_LIST),
    (_deferred_unknown_to_its_dependency, Damage.DEFERRED_FOR_NOTHING),
    (_deferred_after_its_dependency_ended, Damage.DEFERRED_FOR_NOTHING),
    (_deferred_after_its_dependency_failed, Damage.DEFERRED_FOR_NOTHING),
    (_deferred_after_its_dependency_expired, Damage.DEFERRED_FOR_NOTHING),
    (_started_without_lease, Damage.HELD_BY_NOBODY),
    (_started_without_execution, Damage.HELD_BY_NOBODY),
    (_started_without_execution_record, Damage.HELD_BY_NOBODY),
    (_lease_without_job, Damage.HELD_WITHOUT_JOB),
    (_suspect_without_job, Damage.HELD_WITHOUT_JOB),
    (_wip_without_job, Damage.HELD_WITHOUT_JOB),
    (_lease_of_an_older_execution, Damage.HELD_WITHOUT_JOB),
    (_ended_and_held, Damage.HELD_AFTER_ITS_END),
    (_execution_record_without_job, Damage.EXECUTION_WITHOUT_JOB),
    (_execution_entry_without_job, Damage.EXECUTION_WITHOUT_JOB),
    (_indexed_without_job, Damage.WRONG_INDEX),
    (_indexed_in_the_wrong_status, Damage.WRONG_INDEX),
    (_indexed_for_another_user, Damage.WRONG_INDEX),
    (_not_indexed, Damage.NOT_INDEXED),
    (_ended_without_expiry, Damage.NEVER_EXPIRES),
    (_ended_and_never_swept, Damage.NEVER_EXPIRES),
    (_live_and_expiring, Damage.EXPIRES_ALIVE),
    (_live_and_to_be_swept, Damage.EXPIRES_ALIVE),
    (_limited_but_not_set_aside, Damage.IN_NO_LIST),
    (_slot_without_job, Damage.SLOT_WITHOUT_JOB),
    (_called_without_job, Damage.SLOT_WITHOUT_JOB),
    (_unique_key_without_job, Damage.KEY_WITHOUT_JOB),
    (_deadline_without_job, Damage.ENTRY_WITHOUT_JOB),
    (_set_aside_without_job, Damage.ENTRY_WITHOUT_JOB),
    (_queued_and_set_aside, Damage.IN_TWO_LISTS),
    (_scheduled_entry_without_job, Damage.ENTRY_WITHOUT_JOB),
    (_events_without_job, Damage.KEY_WITHOUT_JOB),
    (_logs_without_job, Damage.KEY_WITHOUT_JOB),
    (_checkpoint_without_job, Damage.KEY_WITHOUT_JOB),
    (_results_without_job, Damage.KEY_WITHOUT_JOB),
    (_dependents_without_job, Damage.KEY_WITHOUT_JOB),
    (_immortal_worker, Damage.NEVER_EXPIRES),
    (_plain_rq_job_in_no_list, Damage.IN_NO_LIST),
    (_entries_that_are_not_text, Damage.HELD_WITHOUT_JOB),
    (_entries_that_are_not_text, Damage.WRONG_INDEX),
]


@pytest.mark.parametrize(("plant", "damage"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_damage_is_found_and_repaired(
    plant: Plant, damage: Damage, store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    plant(store, connection)
    findings = doctor.examine()
    assert damage in damages(findings)
    assert damage in damages(doctor.repair(findings))
    assert doctor.examine() == []


def test_every_kind_of_damage_is_planted() -> None:
    assert {damage for _plant, damage in PLANTED} == set(Damage) - {Damage.UNREADABLE}


def test_an_unreadable_record_is_reported_left_alone_and_hides_nothing(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    _text_instead_of_a_record(store, connection)
    _lease_without_job(store, connection)
    findings = doctor.examine()
    assert damages(findings) == {Damage.UNREADABLE, Damage.HELD_WITHOUT_JOB}
    assert any("job a: delete the key if no program uses it: WRONGTYPE" in str(finding) for finding in findings)
    doctor.repair(findings)
    assert damages(doctor.examine()) == {Damage.UNREADABLE}
    assert connection.get("rq:job:a") == b"not a hash"


# --- what a repair does ------------------------------------------------------------------


def test_a_repaired_job_that_was_in_no_list_can_be_claimed(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    _queued_in_no_list(store, connection)
    doctor.repair(doctor.examine())
    assert claim(store).job_id == "a"


def test_a_job_that_no_execution_holds_goes_back_to_its_queue(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    _started_without_execution(store, connection)
    doctor.repair(doctor.examine())
    assert claim(store, "e2").order.attempt == 1


def test_a_live_worker_gets_its_lost_lease_back_and_can_finish(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    submit(store, "a")
    claimed = claim(store)
    connection.delete("wh:leases", "rq:wip:default")
    doctor.repair(doctor.examine())
    assert finish(store, claimed) == "completed"
    assert doctor.examine() == []


def test_a_job_whose_dependency_failed_is_cancelled_with_the_reason(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    _deferred_after_its_dependency_failed(store, connection)
    doctor.repair(doctor.examine())
    assert connection.hmget("rq:job:b", "status", "error_type") == [b"canceled", b"dependency_failed"]


def test_damage_that_has_disappeared_meanwhile_is_left_alone(
    store: Store, doctor: Doctor, connection: redis.Redis
) -> None:
    _queued_in_no_list(store, connection)
    findings = doctor.examine()
    connection.rpush("rq:queue:default", "a")
    assert doctor.repair(findings) == []
    assert connection.lrange("rq:queue:default", 0, -1) == [b"a"]
