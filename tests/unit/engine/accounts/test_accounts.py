"""Users and their credentials: what gets in, what doesn't, and what ends when."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fakeredis
import jwt
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.credential_cache import CredentialCache
from jobs.engine.accounts.credentials import fingerprint, is_api_key, make_api_key
from jobs.engine.accounts.sign_in import FAILURES_PER_NAME
from jobs.engine.accounts.tokens import token_key
from jobs.engine.errors import (
    ApiKeyNotFound,
    BrokerUnavailable,
    Conflict,
    InvalidRequest,
    RateLimited,
    Unauthenticated,
    UserExists,
    UserNotFound,
)
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis

PASSWORD = "correct horse"


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def connection(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return ImitatedRedis(server=server, protocol=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key="s" * 32, rate_limit="5/minute")


@pytest.fixture
def accounts(connection: fakeredis.FakeRedis, settings: Settings) -> Accounts:
    return Accounts(connection, settings)


@pytest.fixture
def elsewhere(connection: fakeredis.FakeRedis, settings: Settings) -> Accounts:
    """The same accounts in another process: nothing is cached there."""
    return Accounts(connection, settings)


def register(accounts: Accounts, name: str = "alice") -> str:
    return accounts.register(name, f"{name}@example.com", PASSWORD).user_id


def everything(connection: fakeredis.FakeRedis) -> str:
    """All that is stored, as text."""
    parts = []
    for key in connection.keys("*"):
        kind = connection.type(key)
        readers = {b"hash": connection.hgetall, b"set": connection.smembers, b"string": connection.get}
        value = readers[bytes(kind)](key)  # type: ignore[arg-type]
        parts.append(f"{key!r} {value!r}")
    return "\n".join(parts)


# --- users ------------------------------------------------------------------------


def test_a_registered_user_is_found_again(accounts: Accounts) -> None:
    registered = accounts.register("alice", "alice@example.com", PASSWORD)
    assert accounts.find("alice") == registered
    assert registered.roles == ("user",) and not registered.is_admin


def test_names_are_told_apart_without_regard_to_case(accounts: Accounts) -> None:
    assert accounts.register("Alice", "a@example.com", PASSWORD).user_id == "alice"
    with pytest.raises(UserExists):
        accounts.register("ALICE", "b@example.com", PASSWORD)
    assert accounts.sign_in.check_password("aLiCe", PASSWORD).user_id == "alice"


def test_a_name_that_is_taken_does_not_take_the_address(accounts: Accounts) -> None:
    register(accounts)
    with pytest.raises(UserExists):
        accounts.register("alice", "free@example.com", PASSWORD)
    assert accounts.register("bob", "free@example.com", PASSWORD).user_id == "bob"


def test_an_address_that_is_taken_does_not_take_the_name(accounts: Accounts) -> None:
    register(accounts)
    with pytest.raises(UserExists):
        accounts.register("bob", "ALICE@example.com", PASSWORD)
    assert accounts.register("bob", "bob@example.com", PASSWORD).user_id == "bob"


def test_of_many_who_register_a_name_at_once_one_gets_it(accounts: Accounts) -> None:
    def attempt(number: int) -> bool:
        try:
            accounts.register("alice", f"alice{number}@example.com", PASSWORD)
        except UserExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a b", "a:b", "a\n", "ä", "\u212aim", "a" * 65, "a/b", "\ud800", "a\x00"]
)
def test_a_name_outside_the_alphabet_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        accounts.register(name, "a@example.com", PASSWORD)
    assert [fault.pointer for fault in refusal.value.faults] == ["/username"]


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "a@b@c", "a@example.com\r\nBcc: b@example.com", "\ud800@a.com", "a\x00@b.c"]
)
def test_an_address_that_is_none_is_refused(accounts: Accounts, email: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        accounts.register("alice", email, PASSWORD)
    assert [fault.pointer for fault in refusal.value.faults] == ["/email"]


def test_all_faults_are_named_at_once(accounts: Accounts) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        accounts.register("a b", "nowhere", "short")
    assert [fault.pointer for fault in refusal.value.faults] == ["/username", "/email", "/password"]


@pytest.mark.parametrize("password", ["1234567", "x" * 129])
def test_a_password_outside_the_limits_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(InvalidRequest):
        accounts.register("alice", "a@example.com", password)


@pytest.mark.parametrize("name", ["admin", "me", "Admin"])
def test_names_that_mean_something_else_are_taken(accounts: Accounts, name: str) -> None:
    with pytest.raises(UserExists):
        accounts.register(name, "a@example.com", PASSWORD)


def test_a_deleted_user_frees_name_and_address(accounts: Accounts) -> None:
    register(accounts)
    accounts.delete("alice")
    with pytest.raises(UserNotFound):
        accounts.find("alice")
    assert register(accounts) == "alice"


def test_nothing_of_a_deleted_user_is_left(accounts: Accounts, connection: fakeredis.FakeRedis) -> None:
    accounts.create_key(register(accounts), "laptop")
    accounts.delete("alice")
    assert "alice" not in everything(connection)


def test_a_user_that_does_not_exist_can_not_be_deleted(accounts: Accounts) -> None:
    for name in ("nobody", "a:b", ""):
        with pytest.raises(UserNotFound):
            accounts.delete(name)


def test_the_last_admin_can_not_be_deleted(accounts: Accounts) -> None:
    accounts.ensure_admin()
    with pytest.raises(Conflict):
        accounts.delete("admin")
    accounts.register("second", "second@example.com", PASSWORD, roles=("admin", "user"))
    accounts.delete("admin")
    with pytest.raises(Conflict):
        accounts.delete("second")


# --- passwords -----------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(accounts: Accounts) -> None:
    register(accounts)
    answers = []
    for name in ("alice", "nobody", "alice:x", "\ud800", ""):
        with pytest.raises(Unauthenticated) as refusal:
            accounts.sign_in.check_password(name, "wrong password")
        answers.append(refusal.value.message)
    assert len(set(answers)) == 1


def test_an_unknown_name_costs_as_much_as_a_wrong_password(accounts: Accounts) -> None:
    register(accounts)

    def cost(name: str) -> float:
        started = time.process_time()
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password(name, "wrong password")
        return time.process_time() - started

    cost("warm.up")
    known, unknown = (min(cost(name) for _ in range(4)) for name in ("alice", "nobody"))
    assert 0.4 < known / unknown < 2.5


def test_a_user_without_a_password_can_not_sign_in_with_an_empty_one(accounts: Accounts) -> None:
    accounts.ensure_admin()
    for password in ("", "nobody's password"):
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password("admin", password)


def test_guessing_a_password_is_cut_short_even_for_who_knows_it_then(accounts: Accounts) -> None:
    register(accounts)
    for _ in range(FAILURES_PER_NAME.count):
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password("alice", "wrong password")
    with pytest.raises(RateLimited) as refusal:
        accounts.sign_in.check_password("ALICE", PASSWORD)
    assert refusal.value.retry_after > 0


def test_successful_sign_ins_are_not_limited(accounts: Accounts) -> None:
    register(accounts)
    for _ in range(FAILURES_PER_NAME.count + 2):
        accounts.sign_in.check_password("alice", PASSWORD, address="192.0.2.1")


def test_guessing_many_names_from_one_address_is_cut_short(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.accounts.sign_in.FAILURES_PER_ADDRESS", FAILURES_PER_NAME)
    for number in range(FAILURES_PER_NAME.count):
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password(f"user{number}", "wrong password", address="192.0.2.1")
    with pytest.raises(RateLimited):
        accounts.sign_in.check_password("another", "wrong password", address="192.0.2.1")
    with pytest.raises(Unauthenticated):
        accounts.sign_in.check_password("another", "wrong password", address="192.0.2.2")


# --- API keys ----------------------------------------------------------------------------


def test_an_api_key_has_a_prefix_and_a_checksum() -> None:
    key = make_api_key()
    assert key.startswith("wh_") and len(key) == 52 and is_api_key(key)
    swapped = key[:10] + ("a" if key[10] != "a" else "b") + key[11:]
    assert not is_api_key(swapped)
    assert not is_api_key("") and not is_api_key("wh_") and not is_api_key(key + "\n") and not is_api_key("\ud800")


def test_a_created_key_authenticates_its_user(accounts: Accounts, elsewhere: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    assert elsewhere.bearers.authenticate(secret).user_id == "alice"
    assert accounts.keys("alice") == [key]
    assert key.name == "laptop"


def test_a_key_is_stored_as_a_hash_alone(accounts: Accounts, connection: fakeredis.FakeRedis) -> None:
    _, secret = accounts.create_key(register(accounts), "laptop")
    assert secret not in everything(connection)
    assert fingerprint(secret) in everything(connection)


def test_a_revoked_key_is_dead(accounts: Accounts, elsewhere: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    accounts.bearers.authenticate(secret)
    accounts.revoke("alice", key.id)
    for anywhere in (accounts, elsewhere):
        with pytest.raises(Unauthenticated):
            anywhere.bearers.authenticate(secret)
    assert accounts.keys("alice") == []


def test_a_key_that_was_revoked_elsewhere_is_dead_within_five_seconds(
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


def test_a_key_of_somebody_else_can_not_be_revoked(accounts: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    register(accounts, "bob")
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke("bob", key.id)
    assert accounts.bearers.authenticate(secret).user_id == "alice"


def test_a_user_who_is_gone_gets_no_key(accounts: Accounts) -> None:
    with pytest.raises(UserNotFound):
        accounts.create_key("nobody", "laptop")


def test_a_user_may_have_a_hundred_keys(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.engine.accounts.api_keys.MAX_KEYS_PER_USER", 2)
    user_id = register(accounts)
    accounts.create_key(user_id, "1"), accounts.create_key(user_id, "2")
    with pytest.raises(Conflict):
        accounts.create_key(user_id, "3")


@pytest.mark.parametrize("credential", ["", "wh_", "nonsense", "a.b.c", "\ud800", "\x00", "x" * 10_000])
def test_nonsense_is_no_credential(accounts: Accounts, credential: str) -> None:
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


def test_every_credential_dies_with_its_user(accounts: Accounts, elsewhere: Accounts) -> None:
    user = accounts.find(register(accounts))
    _, key = accounts.create_key("alice", "laptop")
    token, _ = accounts.bearers.issue_token(user)
    link, session = accounts.sign_in.issue_link("alice"), accounts.sign_in.open_session(user)
    accounts.bearers.authenticate(key), accounts.bearers.authenticate(token), accounts.sign_in.session_user(session)
    accounts.delete("alice")
    register(accounts)  # somebody else, under the same name
    for anywhere in (accounts, elsewhere):
        for use in (
            lambda to: to.bearers.authenticate(key),
            lambda to: to.bearers.authenticate(token),
            lambda to: to.sign_in.session_user(session),
            lambda to: to.sign_in.redeem_link(link),
        ):
            with pytest.raises(Unauthenticated):
                use(anywhere)


def test_a_closed_user_is_out_at_once_though_cached(accounts: Accounts, elsewhere: Accounts) -> None:
    _, key = accounts.create_key(register(accounts), "laptop")
    alice = elsewhere.bearers.authenticate(key)
    accounts.close("alice")
    with pytest.raises(Unauthenticated):
        elsewhere.gate.admit(alice)
    with pytest.raises(Unauthenticated):
        elsewhere.sign_in.check_password("alice", PASSWORD)
    with pytest.raises(UserNotFound):
        elsewhere.create_key("alice", "another")


def test_the_name_of_a_closed_user_is_taken_until_they_are_deleted(accounts: Accounts) -> None:
    register(accounts)
    accounts.close("alice")
    with pytest.raises(UserExists):
        accounts.register("alice", "new@example.com", PASSWORD)
    accounts.close("alice")  # a removal that was broken off may begin again
    accounts.delete("alice")
    assert register(accounts) == "alice"


def test_an_admin_whose_removal_was_broken_off_comes_back_with_the_configured_key(accounts: Accounts) -> None:
    accounts.ensure_admin()
    accounts.register("second", "second@example.com", PASSWORD, roles=("admin", "user"))
    accounts.close("admin")
    assert accounts.bearers.authenticate(accounts.ensure_admin()).is_admin


# --- signed tokens --------------------------------------------------------------------


def test_a_token_authenticates_whom_it_was_issued_to(accounts: Accounts, elsewhere: Accounts) -> None:
    token, seconds = accounts.bearers.issue_token(accounts.find(register(accounts)))
    assert elsewhere.bearers.authenticate(token).user_id == "alice"
    assert seconds == 3600


def forge(accounts: Accounts, *, key: bytes | str | None = None, algorithm: str = "HS256", **changes: object) -> str:
    """A token like the ones that are issued, but for some changes; a None takes a claim out."""
    token, _ = accounts.bearers.issue_token(accounts.find("alice"))
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    signing_key = token_key("s" * 32) if key is None else key
    # PyJWT takes no key for "none", whatever its types say.
    return jwt.encode(claims, None if algorithm == "none" else signing_key, algorithm=algorithm)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"},
        {"algorithm": "HS512"},
        {"key": b"x" * 32},
        {"key": b"s" * 32},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"iss": "somebody else"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": ["workhorse", "another service"]},
        {"aud": None},
        {"sub": "nobody"},
        {"sub": None},
        {"gen": "another"},
        {"gen": None},
        {"iat": 2**33},
    ],
    ids=str,
)
def test_a_token_that_is_not_ours_in_every_claim_is_refused(accounts: Accounts, changes: dict[str, object]) -> None:
    register(accounts)
    with pytest.raises(Unauthenticated):
        accounts.bearers.authenticate(forge(accounts, **changes))  # type: ignore[arg-type]


def test_the_forgery_without_a_change_is_accepted(accounts: Accounts) -> None:
    register(accounts)
    assert accounts.bearers.authenticate(forge(accounts)).user_id == "alice"


# --- browsers --------------------------------------------------------------------------


def test_a_sign_in_link_works_once(accounts: Accounts, elsewhere: Accounts) -> None:
    link = accounts.sign_in.issue_link(register(accounts))
    assert elsewhere.sign_in.redeem_link(link).user_id == "alice"
    with pytest.raises(Unauthenticated):
        accounts.sign_in.redeem_link(link)


def test_a_sign_in_link_is_stored_as_a_hash_and_expires_after_a_day(
    accounts: Accounts, connection: fakeredis.FakeRedis
) -> None:
    link = accounts.sign_in.issue_link(register(accounts))
    assert link not in everything(connection)
    assert 86_000 < connection.ttl("wh:signin:" + fingerprint(link)) <= 86_400


def test_a_session_ends_when_it_is_closed(accounts: Accounts, elsewhere: Accounts) -> None:
    session = accounts.sign_in.open_session(accounts.find(register(accounts)))
    assert accounts.sign_in.session_user(session).user_id == "alice"
    accounts.sign_in.close_session(session)
    for anywhere in (accounts, elsewhere):
        with pytest.raises(Unauthenticated):
            anywhere.sign_in.session_user(session)


def test_a_session_opened_with_a_key_ends_with_the_key(accounts: Accounts, elsewhere: Accounts) -> None:
    key, secret = accounts.create_key(register(accounts), "laptop")
    session = accounts.sign_in.open_session(accounts.find("alice"), key=secret)
    assert elsewhere.sign_in.session_user(session).user_id == "alice"
    accounts.revoke("alice", key.id)
    with pytest.raises(Unauthenticated):
        accounts.sign_in.session_user(session)


# --- the configured administrator -----------------------------------------------------------


def test_the_key_of_the_admin_is_made_once_and_kept_to_the_owner(
    accounts: Accounts, elsewhere: Accounts, settings: Settings
) -> None:
    key = accounts.ensure_admin()
    assert elsewhere.ensure_admin() == key and is_api_key(key)
    assert accounts.bearers.authenticate(key).is_admin
    path = settings.data_dir / "admin_api_key"
    assert path.read_text() == key and path.stat().st_mode & 0o777 == 0o600


def test_many_processes_may_ensure_the_admin_at_once(connection: fakeredis.FakeRedis, settings: Settings) -> None:
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


def test_a_configured_key_that_was_changed_no_longer_works(connection: fakeredis.FakeRedis, settings: Settings) -> None:
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


def test_the_keys_that_the_admin_made_survive_a_change_of_the_configured_one(
    accounts: Accounts, connection: fakeredis.FakeRedis, settings: Settings
) -> None:
    accounts.ensure_admin()
    _, own = accounts.create_key("admin", "laptop")
    changed = Accounts(connection, settings.model_copy(update={"admin_api_key": make_api_key()}))
    changed.ensure_admin()
    assert changed.bearers.authenticate(own).is_admin


def test_the_configured_key_can_not_be_revoked_as_it_would_come_back(accounts: Accounts) -> None:
    accounts.ensure_admin()
    with pytest.raises(Conflict):
        accounts.revoke("admin", "configured")
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke("nobody", "configured")


# --- how often ---------------------------------------------------------------------------------


def test_a_user_over_the_rate_limit_is_refused_and_told_when(accounts: Accounts) -> None:
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


def test_a_request_is_not_let_in_by_a_key_that_is_revoked_though_cached(
    accounts: Accounts, elsewhere: Accounts
) -> None:
    made, key = accounts.create_key(register(accounts), "laptop")
    alice = elsewhere.bearers.authenticate(key)
    elsewhere.gate.admit(alice)
    accounts.revoke("alice", made.id)
    assert elsewhere.bearers.authenticate(key) == alice
    with pytest.raises(Unauthenticated):
        elsewhere.gate.admit(alice)


def test_a_user_who_is_gone_is_not_admitted_and_leaves_no_record(
    accounts: Accounts, connection: fakeredis.FakeRedis
) -> None:
    with pytest.raises(Unauthenticated):
        accounts.gate.admit(replace(accounts.find(register(accounts)), user_id="nobody"))
    assert connection.keys("*nobody*") == []


def test_a_broker_that_is_away_is_said_so(accounts: Accounts, server: fakeredis.FakeServer) -> None:
    alice = accounts.find(register(accounts))
    server.connected = False
    for use in (accounts.ensure_admin, lambda: accounts.find("alice"), lambda: accounts.gate.admit(alice)):
        with pytest.raises(BrokerUnavailable):
            use()
