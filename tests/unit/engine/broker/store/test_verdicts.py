"""The replies of the scripts, read as verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine.broker.store.records import Record
from jobs.engine.broker.store.verdicts import (
    CancelVerdict,
    RetryReply,
    RetryVerdict,
    SubmitReply,
    SubmitVerdict,
)

RECORD = [b"j1", [b"status", b"queued"], [], b"3", b"1700000000.5", b""]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ([b"stored", b"g1", None], SubmitReply(SubmitVerdict.STORED, "g1")),
        ([b"taken"], SubmitReply(SubmitVerdict.TAKEN)),
        ([b"too_many_active", 7], SubmitReply(SubmitVerdict.TOO_MANY_ACTIVE, number=7)),
        ([b"not_admitted", -1], SubmitReply(SubmitVerdict.NOT_ADMITTED, number=-1)),
        ([b"unknown_dependency", b"j9", 2], SubmitReply(SubmitVerdict.UNKNOWN_DEPENDENCY, "j9", 2)),
        (
            [b"duplicate_in_request", 3, 1],
            SubmitReply(SubmitVerdict.DUPLICATE_IN_REQUEST, number=3, other=1),
        ),
    ],
)
def test_a_reply_to_a_submission_is_read(reply: list[Any], expected: SubmitReply) -> None:
    assert SubmitReply.read(reply) == expected


def test_a_stored_job_comes_with_its_record() -> None:
    reply = SubmitReply.read([b"replayed", b"j1", RECORD])
    assert reply.verdict is SubmitVerdict.REPLAYED
    assert reply.record == Record("j1", {"status": b"queued"}, {}, 3, 1700000000.5)


def test_a_stored_job_s_record_has_what_was_sent_and_what_was_added() -> None:
    reply = SubmitReply.read([b"stored", b"j1", RECORD], {"data": b"[]", "timeout": 60, "type": "greet"})
    assert reply.record is not None
    assert reply.record.fields == {"data": b"[]", "timeout": b"60", "type": b"greet", "status": b"queued"}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ([b"pending"], RetryReply(RetryVerdict.PENDING)),
        ([b"dependency_failed", b"j9"], RetryReply(RetryVerdict.DEPENDENCY_FAILED, other_id="j9")),
        ([b"too_many_active", 7], RetryReply(RetryVerdict.TOO_MANY_ACTIVE, active=7)),
    ],
)
def test_a_reply_to_a_retry_is_read(reply: list[Any], expected: RetryReply) -> None:
    assert RetryReply.read(reply) == expected


def test_an_unknown_word_is_an_error() -> None:
    with pytest.raises(ValueError, match="'kept' is not a valid SubmitVerdict"):
        SubmitReply.read([b"kept", b"j1"])
    with pytest.raises(ValueError, match="'kept' is not a valid RetryVerdict"):
        RetryReply.read([b"kept"])
    with pytest.raises(ValueError, match="'kept' is not a valid CancelVerdict"):
        CancelVerdict("kept")
