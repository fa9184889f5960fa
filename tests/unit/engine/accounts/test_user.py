from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.engine.accounts.user import User, new_record

MARCH = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_a_new_record_is_read_as_a_user_who_has_sent_no_request() -> None:
    user = User.from_record("alice", new_record("Alice@example.com", "hash", ("admin", "user")))
    assert (user.user_id, user.email, user.roles) == ("alice", "Alice@example.com", ("admin", "user"))
    assert (user.is_admin, user.request_count, user.last_request_at) == (True, 0, None)
    assert abs(datetime.now(UTC) - user.created_at).total_seconds() < 10


def test_each_new_record_has_another_generation() -> None:
    records = [new_record("a@example.com", "", ("user",)) for _ in range(2)]
    assert records[0]["generation"] != records[1]["generation"]


@pytest.mark.parametrize("text", [str(int(MARCH.timestamp())), MARCH.isoformat()])
def test_the_time_of_the_last_request_is_read_in_both_formats(text: str) -> None:
    record = new_record("a@example.com", "", ("user",)) | {"request_count": "3", "last_request_at": text}
    user = User.from_record("alice", record)
    assert (user.request_count, user.last_request_at) == (3, MARCH)


@pytest.mark.parametrize("text", ["", "yesterday", "9" * 40])
def test_a_malformed_time_of_the_last_request_is_left_out(text: str) -> None:
    record = new_record("a@example.com", "", ("user",)) | {"last_request_at": text}
    assert User.from_record("alice", record).last_request_at is None


@pytest.mark.parametrize("change", [{"generation": "ä"}, {"created_at": "yesterday"}])
def test_a_malformed_record_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        User.from_record("alice", new_record("a@example.com", "", ("user",)) | change)
