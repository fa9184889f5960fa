from __future__ import annotations

import time
from dataclasses import replace

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.errors import (
    RateLimited,
    Unauthenticated,
)
from tests.unit.engine.accounts.people import register


def test_a_user_over_the_rate_limit_is_refused_with_the_time_to_wait(accounts: Accounts) -> None:
    alice, bob = accounts.find(register(accounts)), accounts.find(register(accounts, "bob"))
    for _ in range(5):
        accounts.gate.admit(alice)
    with pytest.raises(RateLimited) as refusal:
        accounts.gate.admit(alice)
    assert 0 < refusal.value.retry_after <= 12
    accounts.gate.admit(bob)


def test_admitted_requests_are_counted(accounts: Accounts) -> None:
    alice = accounts.find(register(accounts))
    for _ in range(3):
        accounts.gate.admit(alice)
    user = accounts.find("alice")
    assert user.request_count == 3 and user.last_request_at is not None
    assert abs(user.last_request_at.timestamp() - time.time()) < 5


def test_a_cached_key_that_was_revoked_is_not_admitted(accounts: Accounts, elsewhere: Accounts) -> None:
    made, key = accounts.create_key(register(accounts), "laptop")
    alice = elsewhere.bearers.authenticate(key)
    elsewhere.gate.admit(alice)
    accounts.revoke("alice", made.id)
    assert elsewhere.bearers.authenticate(key) == alice
    with pytest.raises(Unauthenticated):
        elsewhere.gate.admit(alice)


def test_a_removed_user_is_not_admitted_and_leaves_no_record(
    accounts: Accounts, connection: fakeredis.FakeRedis
) -> None:
    with pytest.raises(Unauthenticated):
        accounts.gate.admit(replace(accounts.find(register(accounts)), user_id="nobody"))
    assert connection.keys("*nobody*") == []
