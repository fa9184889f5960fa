from __future__ import annotations

import pytest

from jobs.engine.accounts.registration import Registration, check_password
from jobs.engine.errors import InvalidRequest


def pointers(username: str = "alice", email: str = "alice@example.com", password: str = "p" * 8) -> list[str]:
    with pytest.raises(InvalidRequest) as refusal:
        Registration.check(username, email, password)
    return [str(fault.pointer) for fault in refusal.value.faults]


def test_a_valid_registration_is_normalised() -> None:
    new = Registration.check("Alice", "Alice@EXAMPLE.com", "correct horse")
    assert (new.username, new.email, new.password) == ("alice", "Alice@example.com", "correct horse")


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a b", "a:b", "a\n", "ä", "\u212aim", "a" * 65, "a/b", "\ud800", "a\x00"]
)
def test_an_invalid_username_is_refused(name: str) -> None:
    assert pointers(username=name) == ["/username"]


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "a@b@c", "a@example.com\r\nBcc: b@example.com", "\ud800@a.com", "a\x00@b.c"]
)
def test_an_invalid_e_mail_address_is_refused(email: str) -> None:
    assert pointers(email=email) == ["/email"]


@pytest.mark.parametrize("email", ["root@localhost", "me@printer.local", "a@b.test"])
def test_an_address_in_a_local_network_is_accepted(email: str) -> None:
    assert Registration.check("alice", email, "correct horse").email == email


@pytest.mark.parametrize("password", ["1234567", "x" * 129])
def test_a_password_outside_the_limits_is_refused(password: str) -> None:
    assert pointers(password=password) == ["/password"]
    with pytest.raises(InvalidRequest, match="8 to 128 characters"):
        check_password(password)


@pytest.mark.parametrize("password", ["12345678", "x" * 128])
def test_a_password_at_the_limits_is_accepted(password: str) -> None:
    assert Registration.check("alice", "alice@example.com", password).password == password


def test_all_faults_are_reported_together() -> None:
    assert pointers("a b", "nowhere", "short") == ["/username", "/email", "/password"]
