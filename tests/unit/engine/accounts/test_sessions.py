from __future__ import annotations

import fakeredis
import pytest

from jobs.engine.accounts.credentials import fingerprint
from jobs.engine.accounts.sessions import Grant, Sessions, session_key
from tests.unit.engine.accounts.people import everything

GRANT = Grant("alice", "generation", "digest of a key")


@pytest.fixture
def sessions(connection: fakeredis.FakeRedis) -> Sessions:
    return Sessions(connection)


def test_a_link_is_redeemed_once(sessions: Sessions) -> None:
    link = sessions.issue_link(GRANT)
    assert sessions.redeem_link(link) == GRANT
    assert sessions.redeem_link(link) is None


def test_a_link_is_stored_as_a_hash_and_expires_after_a_day(
    sessions: Sessions, connection: fakeredis.FakeRedis
) -> None:
    link = sessions.issue_link(GRANT)
    assert link not in everything(connection)
    assert 86_000 < connection.ttl("wh:signin:" + fingerprint(link)) <= 86_400


def test_a_session_is_found_until_it_is_closed(sessions: Sessions) -> None:
    secret = sessions.open(GRANT)
    assert sessions.find(secret) == GRANT
    sessions.close(secret)
    assert sessions.find(secret) is None


def test_a_session_is_stored_as_a_hash_and_expires_after_a_week(
    sessions: Sessions, connection: fakeredis.FakeRedis
) -> None:
    secret = sessions.open(GRANT)
    assert secret not in everything(connection)
    assert 604_000 < connection.ttl(session_key(secret)) <= 604_800


def test_a_link_does_not_open_a_session_by_itself(sessions: Sessions) -> None:
    assert sessions.find(sessions.issue_link(GRANT)) is None
    assert sessions.redeem_link(sessions.open(GRANT)) is None
