from __future__ import annotations

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.credentials import fingerprint
from jobs.engine.errors import (
    ApiKeyNotFound,
    Conflict,
    UserNotFound,
)
from tests.unit.engine.accounts.people import everything, register


def test_only_the_hash_of_a_key_is_stored(accounts: Accounts, connection: fakeredis.FakeRedis) -> None:
    _, secret = accounts.create_key(register(accounts), "laptop")
    assert secret not in everything(connection)
    assert fingerprint(secret) in everything(connection)


def test_a_key_of_another_user_can_not_be_revoked(accounts: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    register(accounts, "bob")
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke("bob", key.id)
    assert accounts.bearers.authenticate(secret).user_id == "alice"


def test_a_key_for_an_unknown_user_is_refused(accounts: Accounts) -> None:
    with pytest.raises(UserNotFound):
        accounts.create_key("nobody", "laptop")


def test_the_number_of_keys_is_limited(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.accounts.api_keys.MAX_KEYS_PER_USER", 2)
    user_id = register(accounts)
    accounts.create_key(user_id, "1"), accounts.create_key(user_id, "2")
    with pytest.raises(Conflict):
        accounts.create_key(user_id, "3")


def test_the_configured_key_can_not_be_revoked(accounts: Accounts) -> None:
    accounts.ensure_admin()
    with pytest.raises(Conflict):
        accounts.revoke("admin", "configured")
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke("nobody", "configured")
