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
