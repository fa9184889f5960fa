from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import fakeredis
import pytest

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.errors import (
    Conflict,
    UserExists,
    UserNotFound,
)
from tests.unit.engine.accounts.people import PASSWORD, everything, register


def test_names_ignore_case(accounts: Accounts) -> None:
    assert accounts.register("Alice", "a@example.com", PASSWORD).user_id == "alice"
    with pytest.raises(UserExists):
        accounts.register("ALICE", "b@example.com", PASSWORD)
    assert accounts.sign_in.check_password("aLiCe", PASSWORD).user_id == "alice"


@pytest.mark.parametrize("name", ["admin", "me", "expiry"])
def test_a_reserved_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(UserExists):
        accounts.register(name, "free@example.com", PASSWORD)


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


def test_only_one_of_many_concurrent_registrations_gets_a_name(accounts: Accounts) -> None:
    def attempt(number: int) -> bool:
        try:
            accounts.register("alice", f"alice{number}@example.com", PASSWORD)
        except UserExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


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


def test_deleting_an_unknown_user_is_refused(accounts: Accounts) -> None:
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


def test_the_name_of_a_closed_user_is_taken_until_they_are_deleted(accounts: Accounts) -> None:
    register(accounts)
    accounts.close("alice")
    with pytest.raises(UserExists):
        accounts.register("alice", "new@example.com", PASSWORD)
    accounts.close("alice")  # a removal that was broken off may begin again
    accounts.delete("alice")
    assert register(accounts) == "alice"
