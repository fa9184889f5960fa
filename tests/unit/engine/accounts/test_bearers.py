from __future__ import annotations

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.credential_cache import CredentialCache
from jobs.engine.accounts.credentials import make_api_key
from jobs.engine.errors import (
    BrokerUnavailable,
    Unauthenticated,
)
from jobs.engine.settings import Settings
from tests.unit.engine.accounts.people import register


def test_a_created_key_authenticates_its_user(accounts: Accounts, elsewhere: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    assert elsewhere.bearers.authenticate(secret).user_id == "alice"
    assert accounts.keys("alice") == [key]
    assert key.name == "laptop"


def test_a_revoked_key_stops_working(accounts: Accounts, elsewhere: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    accounts.bearers.authenticate(secret)
    accounts.revoke("alice", key.id)
    for anywhere in (accounts, elsewhere):
        with pytest.raises(Unauthenticated):
            anywhere.bearers.authenticate(secret)
    assert accounts.keys("alice") == []


def test_a_key_revoked_by_another_process_stops_working_within_five_seconds(
    accounts: Accounts, connection: fakeredis.FakeRedis, settings: Settings
) -> None:
    now = 1_000.0
    elsewhere = Accounts(connection, settings, cache=CredentialCache(clock=lambda: now))
    key, secret = accounts.create_key(register(accounts), "laptop")
    elsewhere.bearers.authenticate(secret)
    accounts.revoke("alice", key.id)
    now += 5
    with pytest.raises(Unauthenticated):
        elsewhere.bearers.authenticate(secret)


@pytest.mark.parametrize("credential", ["", "wh_", "nonsense", "a.b.c", "\ud800", "\x00", "x" * 10_000])
def test_an_invalid_credential_is_refused(accounts: Accounts, credential: str) -> None:
    with pytest.raises(Unauthenticated):
        accounts.bearers.authenticate(credential)


def test_a_key_with_a_wrong_checksum_is_refused_without_a_look_up(
    accounts: Accounts, server: fakeredis.FakeServer
) -> None:
    server.connected = False
    with pytest.raises(Unauthenticated):
        accounts.bearers.authenticate("wh_" + "0" * 49)
    with pytest.raises(BrokerUnavailable):
        accounts.bearers.authenticate(make_api_key())


def test_a_token_authenticates_its_user(accounts: Accounts, elsewhere: Accounts) -> None:
    token, seconds = accounts.bearers.issue_token(accounts.find(register(accounts)))
    assert elsewhere.bearers.authenticate(token).user_id == "alice"
    assert seconds == 3600
