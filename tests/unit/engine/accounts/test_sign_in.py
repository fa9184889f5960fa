from __future__ import annotations

import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.sign_in import FAILURES_PER_NAME
from jobs.engine.errors import (
    RateLimited,
    Unauthenticated,
)
from tests.unit.engine.accounts.people import PASSWORD, register


def test_a_wrong_password_and_an_unknown_name_get_the_same_message(accounts: Accounts) -> None:
    register(accounts)
    answers = []
    for name in ("alice", "nobody", "alice:x", "\ud800", ""):
        with pytest.raises(Unauthenticated) as refusal:
            accounts.sign_in.check_password(name, "wrong password")
        answers.append(refusal.value.message)
    assert len(set(answers)) == 1


def test_a_user_without_a_password_can_not_sign_in_with_an_empty_one(accounts: Accounts) -> None:
    accounts.ensure_admin()
    for password in ("", "nobody's password"):
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password("admin", password)


def test_after_too_many_wrong_guesses_even_the_right_password_is_refused(accounts: Accounts) -> None:
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
        assert accounts.sign_in.check_password("alice", PASSWORD, address="192.0.2.1").user_id == "alice"


def test_guesses_at_many_names_from_one_address_are_limited(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.accounts.sign_in.FAILURES_PER_ADDRESS", FAILURES_PER_NAME)
    for number in range(FAILURES_PER_NAME.count):
        with pytest.raises(Unauthenticated):
            accounts.sign_in.check_password(f"user{number}", "wrong password", address="192.0.2.1")
    with pytest.raises(RateLimited):
        accounts.sign_in.check_password("another", "wrong password", address="192.0.2.1")
    with pytest.raises(Unauthenticated):
        accounts.sign_in.check_password("another", "wrong password", address="192.0.2.2")


def test_a_sign_in_link_works_once(accounts: Accounts, elsewhere: Accounts) -> None:
    link = accounts.sign_in.issue_link(register(accounts))
    assert elsewhere.sign_in.redeem_link(link).user_id == "alice"
    with pytest.raises(Unauthenticated):
        accounts.sign_in.redeem_link(link)


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
