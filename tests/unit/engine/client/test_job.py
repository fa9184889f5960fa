"""The job resource, read from a record."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobs.engine.broker.store.records import Record
from jobs.engine.client.job import Job
from jobs.engine.states import PendingReason


def job(**record: bytes) -> Job:
    return Job.from_record(Record("j1", record, {}, 0, 0.0))


def test_a_job_has_every_field_even_if_its_record_is_empty() -> None:
    assert set(vars(job())) == {field.name for field in fields(Job)}


def test_a_job_is_equal_to_one_that_its_constructor_makes() -> None:
    read = job(status=b"queued", number=b"3", origin=b"high")
    assert read == Job(**vars(read))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"status": b"queued"}, PendingReason.QUEUED),
        ({"status": b"scheduled", "reason": b"retrying"}, PendingReason.RETRYING),
        ({"status": b"scheduled", "reason": b"nonsense"}, PendingReason.SCHEDULED),
        ({"status": b"deferred"}, PendingReason.WAITING),
        ({"status": b"started", "reason": b"queued"}, None),
    ],
)
def test_a_pending_job_says_why_it_waits(record: dict[str, bytes], reason: PendingReason | None) -> None:
    assert job(**record).pending_reason is reason


def test_the_states_in_the_resource_are_plain_text() -> None:
    resource = job(status=b"queued").as_dict()
    assert [type(resource[name]) for name in ("status", "pending_reason")] == [str, str]
    assert job(status=b"started").as_dict()["pending_reason"] is None


def test_the_version_of_a_job_of_plain_rq_increases_with_each_step() -> None:
    held = {"execution": b"e", "started_at": b"2030-01-31T12:00:00.000000Z"}
    steps: list[dict[str, bytes]] = [
        {"status": b"queued"},
        {"status": b"queued", "claims": b"1", "execution": b"e"},
        {"status": b"started", "claims": b"1"} | held,
        {"status": b"failed", "claims": b"1"} | held,
        {"status": b"failed", "claims": b"1"},
        {"status": b"queued", "claims": b"1"},
        {"status": b"queued", "claims": b"2", "execution": b"e"},
        {"status": b"started", "claims": b"2"} | held,
        {"status": b"scheduled", "claims": b"2"} | held,
        {"status": b"started", "claims": b"3"} | held,
        {"status": b"finished", "claims": b"3"} | held,
    ]

    assert [job(**step).version for step in steps] == [1, 1, 2, 3, 3, 4, 4, 5, 7, 8, 9]
