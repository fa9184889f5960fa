from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.credentials import is_api_key, make_api_key
from jobs.engine.errors import ApiKeyNotFound, BrokerUnavailable, Conflict, Unauthenticated, UserExists, UserNotFound
from jobs.engine.settings import Settings
from tests.unit.engine.accounts.people import PASSWORD, register


def test_a_registered_user_is_found_again(accounts: Accounts) -> None:
    registered = accounts.register("alice", "alice@example.com", PASSWORD)
    assert accounts.find("alice") == registered
    assert registered.roles == ("user",) and not registered.is_admin


@pytest.mark.parametrize("name", ["admin", "me", "Admin"])
def test_reserved_names_can_not_be_registered(accounts: Accounts, name: str) -> None:
    with pytest.raises(UserExists):
        accounts.register(name, "a@example.com", PASSWORD)


def test_no_credential_outlives_its_user(accounts: Accounts, elsewhere: Accounts) -> None:
    user = accounts.find(register(accounts))
    _, key = accounts.create_key("alice", "laptop")
    token, _ = accounts.bearers.issue_token(user)
    link, session = accounts.sign_in.issue_link("alice"), accounts.sign_in.open_session(user)
    accounts.bearers.authenticate(key), accounts.bearers.authenticate(token), accounts.sign_in.session_user(session)
    accounts.delete("alice")
    register(accounts)  # another user with the same name
    for anywhere in (accounts, elsewhere):
        for use in (
            lambda to: to.bearers.authenticate(key),
            lambda to: to.bearers.authenticate(token),
            lambda to: to.sign_in.session_user(session),
            lambda to: to.sign_in.redeem_link(link),
        ):
            with pytest.raises(Unauthenticated):
                use(anywhere)


def test_a_closed_user_is_refused_at_once_even_if_cached(accounts: Accounts, elsewhere: Accounts) -> None:
    _, key = accounts.create_key(register(accounts), "laptop")
    alice = elsewhere.bearers.authenticate(key)
    accounts.close("alice")
    with pytest.raises(Unauthenticated):
        elsewhere.gate.count(alice)
    with pytest.raises(Unauthenticated):
        elsewhere.sign_in.check_password("alice", PASSWORD)
    with pytest.raises(UserNotFound):
        elsewhere.create_key("alice", "another")


def test_an_incompletely_removed_admin_is_restored_with_the_configured_key(accounts: Accounts) -> None:
    accounts.ensure_admin()
    accounts.register("second", "second@example.com", PASSWORD, roles=("admin", "user"))
    accounts.close("admin")
    assert accounts.bearers.authenticate(accounts.ensure_admin()).is_admin


def test_the_admin_key_is_created_once_and_readable_by_its_owner_alone(
    accounts: Accounts, elsewhere: Accounts, settings: Settings
) -> None:
    key = accounts.ensure_admin()
    assert elsewhere.ensure_admin() == key and is_api_key(key)
    assert accounts.bearers.authenticate(key).is_admin
    path = settings.data_dir / "admin_api_key"
    assert path.read_text() == key and path.stat().st_mode & 0o777 == 0o600


def test_many_processes_may_create_the_admin_at_once(connection: fakeredis.FakeRedis, settings: Settings) -> None:
    processes = [Accounts(connection, settings) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(Accounts.ensure_admin, processes))
    assert len(keys) == 1 and len(processes[0].keys("admin")) == 1


@pytest.mark.parametrize(
    "configured", ["sixteen letters!", "wh_not-really-one-of-ours", "a.b.c.d.e.f.g.h.", "schlüssel-für-alle"]
)
def test_a_configured_key_may_have_any_form(
    connection: fakeredis.FakeRedis, settings: Settings, configured: str
) -> None:
    accounts = Accounts(connection, settings.model_copy(update={"admin_api_key": configured}))
    assert accounts.ensure_admin() == configured
    assert accounts.bearers.authenticate(configured).user_id == "admin"


def test_a_replaced_configured_key_stops_working(connection: fakeredis.FakeRedis, settings: Settings) -> None:
    def configured(key: str) -> Accounts:
        accounts = Accounts(connection, settings.model_copy(update={"admin_api_key": key}))
        accounts.ensure_admin()
        return accounts

    earlier, later = make_api_key(), make_api_key()
    configured(earlier)
    accounts = configured(later)
    assert accounts.bearers.authenticate(later).is_admin
    with pytest.raises(Unauthenticated):
        accounts.bearers.authenticate(earlier)
    assert [key.id for key in accounts.keys("admin")] == ["configured"]


def test_the_admin_s_own_keys_survive_a_change_of_the_configured_key(
    accounts: Accounts, connection: fakeredis.FakeRedis, settings: Settings
) -> None:
    accounts.ensure_admin()
    _, own = accounts.create_key("admin", "laptop")
    changed = Accounts(connection, settings.model_copy(update={"admin_api_key": make_api_key()}))
    changed.ensure_admin()
    assert changed.bearers.authenticate(own).is_admin


def test_an_unreachable_broker_is_reported(accounts: Accounts, server: fakeredis.FakeServer) -> None:
    alice = accounts.find(register(accounts))
    server.connected = False
    for use in (accounts.ensure_admin, lambda: accounts.find("alice"), lambda: accounts.gate.count(alice)):
        with pytest.raises(BrokerUnavailable):
            use()


def test_a_check_raises_what_the_change_would_raise_and_changes_nothing(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.accounts.api_keys.MAX_KEYS_PER_USER", 1)
    accounts.ensure_admin()
    made, _ = accounts.create_key(register(accounts), "laptop")
    with pytest.raises(Conflict):
        accounts.check_close("admin")
    with pytest.raises(UserNotFound):
        accounts.check_close("nobody")
    with pytest.raises(Conflict):
        accounts.check_create_key("alice")
    with pytest.raises(Conflict):
        accounts.check_revoke("admin", "configured")
    with pytest.raises(ApiKeyNotFound):
        accounts.check_revoke("alice", "unknown")
    accounts.check_close("alice")
    accounts.check_revoke("alice", made.id)
    assert accounts.find("alice").user_id == "alice" and accounts.keys("alice") == [made]
