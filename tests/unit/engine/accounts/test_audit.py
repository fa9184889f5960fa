from __future__ import annotations

from datetime import UTC, datetime, timedelta

import fakeredis
import pytest

from jobs.engine.accounts import audit as module
from jobs.engine.accounts.audit import Act, Audit
from jobs.engine.errors import BrokerUnavailable, InvalidRequest


@pytest.fixture
def audit(connection: fakeredis.FakeRedis) -> Audit:
    return Audit(connection)


def note(audit: Audit, *actions: str, user_id: str | None = "alice") -> None:
    for number, action in enumerate(actions):
        audit.note(Act(action, user_id, "192.0.2.1", 200, f"subject-{number}"))
    audit.flush()


def actions(audit: Audit, **filters: object) -> list[str]:
    return [entry.act.action for entry in audit.page(**filters).entries]  # type: ignore[arg-type]


def test_the_newest_entry_comes_first(audit: Audit) -> None:
    note(audit, "sign-in", "submit-job", "cancel-job")
    assert actions(audit) == ["cancel-job", "submit-job", "sign-in"]


def test_an_entry_is_read_as_it_was_written(audit: Audit) -> None:
    acts = [Act("sign-in", None, None, 401), Act("submit-job", "alice", "2001:db8::1", 202, "6f1c")]
    for act in acts:
        audit.note(act)
    entries = audit.page().entries
    assert [entry.act for entry in reversed(entries)] == acts
    assert abs(entries[0].at - datetime.now(UTC)) < timedelta(seconds=10)


def test_an_entry_is_a_resource_with_a_time_in_utc(audit: Audit) -> None:
    note(audit, "sign-in")
    (entry,) = audit.page().entries
    resource = entry.as_dict()
    assert str(resource.pop("at")).endswith("Z")
    assert resource == {
        "id": entry.id,
        "action": "sign-in",
        "user_id": "alice",
        "address": "192.0.2.1",
        "status": 200,
        "subject": "subject-0",
    }


def test_entries_are_filtered_by_user_and_action(audit: Audit) -> None:
    note(audit, "sign-in", "submit-job")
    note(audit, "sign-in", "cancel-job", user_id="bob")
    assert actions(audit, user_id="alice") == ["submit-job", "sign-in"]
    assert actions(audit, action="sign-in") == ["sign-in", "sign-in"]
    assert actions(audit, user_id="bob", action="cancel-job") == ["cancel-job"]
    assert actions(audit, user_id="carol") == []


def test_pages_follow_one_another_without_gap_or_repeat(audit: Audit) -> None:
    note(audit, *(f"action-{number}" for number in range(7)))
    seen, cursor = [], None
    for _ in range(4):
        page = audit.page(limit=2, cursor=cursor)
        seen += [entry.act.action for entry in page.entries]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == [f"action-{number}" for number in reversed(range(7))]


def test_a_filtered_page_looks_at_a_limited_number_of_entries(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_LOOK", 3)
    note(audit, "wanted", "other", "other", "other", "other")
    first = audit.page(action="wanted")
    assert first.entries == [] and first.next_cursor is not None
    second = audit.page(action="wanted", cursor=first.next_cursor)
    assert [entry.act.action for entry in second.entries] == ["wanted"]
    assert second.next_cursor is None


def test_times_bound_a_page(audit: Audit) -> None:
    note(audit, "sign-in")
    (entry,) = audit.page().entries
    second = timedelta(seconds=1)
    assert actions(audit, after=entry.at - second, before=entry.at + second) == ["sign-in"]
    assert actions(audit, after=entry.at) == []
    assert actions(audit, before=entry.at) == []
    microsecond = timedelta(microseconds=1)
    assert actions(audit, after=entry.at - microsecond, before=entry.at + microsecond) == ["sign-in"]


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime.fromtimestamp(0, UTC)])
def test_no_entry_is_before_1970(audit: Audit, moment: datetime) -> None:
    note(audit, "sign-in")
    assert actions(audit, before=moment) == []
    assert actions(audit, after=moment) == ["sign-in"]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1-", "1-1-1", "-", "+", "1-" + "9" * 16, "١-١"])
def test_an_invalid_cursor_is_refused(audit: Audit, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        audit.page(cursor=cursor)
    assert [(fault.parameter, fault.code) for fault in refusal.value.faults] == [("cursor", "bad_cursor")]


def test_reading_while_the_broker_is_away_is_reported(audit: Audit, server: fakeredis.FakeServer) -> None:
    server.connected = False
    with pytest.raises(BrokerUnavailable):
        audit.page()


def test_entries_are_written_later_if_the_broker_is_unreachable(audit: Audit, server: fakeredis.FakeServer) -> None:
    server.connected = False
    note(audit, "sign-in")
    server.connected = True
    assert actions(audit) == ["sign-in"]
