from __future__ import annotations

import time

import pytest

from jobs.engine.accounts.passwords import hash_password, matches


@pytest.mark.parametrize("password", ["correct horse", "pässwörd 🐎", "\ud800" * 8, "with\0zero", "x" * 128])
def test_a_password_matches_its_own_hash(password: str) -> None:
    assert matches(hash_password(password), password)


@pytest.mark.parametrize("other", ["", "correct horse ", "Correct horse", "correct hors"])
def test_another_password_does_not_match(other: str) -> None:
    assert not matches(hash_password("correct horse"), other)


def test_the_same_password_is_hashed_differently_each_time() -> None:
    assert hash_password("correct horse") != hash_password("correct horse")


def test_a_hash_is_argon2id_with_its_parameters_and_not_the_password() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "correct horse" not in stored


@pytest.mark.parametrize("password", ["", "correct horse", "nobody's password"])
def test_nothing_matches_a_user_without_a_password(password: str) -> None:
    assert not matches("", password)


@pytest.mark.parametrize("stored", ["nonsense", "$argon2id$", "correct horse"])
def test_a_malformed_hash_matches_nothing(stored: str) -> None:
    assert not matches(stored, "correct horse")


def test_an_unknown_user_costs_as_much_time_as_a_wrong_password() -> None:
    stored = hash_password("correct horse")

    def cost(of: str) -> float:
        started = time.process_time()
        matches(of, "wrong password")
        return time.process_time() - started

    cost("")  # the hash that stands in for a missing one is made once
    known, unknown = (min(cost(of) for _ in range(4)) for of in (stored, ""))
    assert 0.4 < known / unknown < 2.5
