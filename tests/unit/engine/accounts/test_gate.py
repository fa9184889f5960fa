from __future__ import annotations

import time
from dataclasses import replace

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.errors import (
    Unauthenticated,
)
from tests.unit.engine.accounts.people import register


def test_a_request_over_the_rate_limit_gets_the_time_to_wait(accounts: Accounts) -> None:
    alice, bob = accounts.find(register(accounts)), accounts.find(register(accounts, "bob"))
    assert [accounts.gate.count(alice) for _ in range(5)] == [0] * 5
    assert 0 < accounts.gate.count(alice) <= 12_000_000
    assert accounts.gate.count(bob) == 0


def test_admitted_requests_are_counted(accounts: Accounts) -> None:
    began = time.time()
    alice = accounts.find(register(accounts))
    for _ in range(3):
        accounts.gate.count(alice)
    user = accounts.find("alice")
    assert user.request_count == 3 and user.last_request_at is not None
    assert began - 1 <= user.last_request_at.timestamp() <= time.time() + 1


def test_a_cached_key_that_was_revoked_is_not_admitted(accounts: Accounts, elsewhere: Accounts) -> None:
    made, key = accounts.create_key(register(accounts), "laptop")
    alice = elsewhere.bearers.authenticate(key)
    elsewhere.gate.count(alice)
    accounts.revoke("alice", made.id)
    assert elsewhere.bearers.authenticate(key) == alice
    with pytest.raises(Unauthenticated):
        elsewhere.gate.count(alice)


def test_a_removed_user_is_not_admitted_and_leaves_no_record(
    accounts: Accounts, connection: fakeredis.FakeRedis
) -> None:
    with pytest.raises(Unauthenticated):
        accounts.gate.count(replace(accounts.find(register(accounts)), user_id="nobody"))
    assert connection.keys("*nobody*") == []
