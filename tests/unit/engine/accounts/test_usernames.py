from __future__ import annotations

import pytest

from jobs.engine.accounts.usernames import fold, is_username


def test_only_ascii_letters_are_folded() -> None:
    assert fold("ALICE.b") == "alice.b"
    assert fold("\u212aim") == "\u212aim"


@pytest.mark.parametrize("name", ["a", "0", "alice", "a.b-c_d", "a" * 64])
def test_a_valid_name_is_accepted(name: str) -> None:
    assert is_username(name)


@pytest.mark.parametrize("name", ["", "A", ".a", "a:b", "a\n", "a" * 65, "١"])
def test_an_invalid_name_is_refused(name: str) -> None:
    assert not is_username(name)
