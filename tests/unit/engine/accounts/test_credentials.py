from __future__ import annotations

import pytest

from jobs.engine.accounts.credentials import fingerprint, is_api_key, make_api_key, make_secret


def test_an_api_key_has_a_prefix_and_a_fixed_length() -> None:
    key = make_api_key()
    assert key.startswith("wh_") and len(key) == 52 and is_api_key(key)


def test_a_mistyped_api_key_is_recognised_by_its_checksum() -> None:
    key = make_api_key()
    for place in (3, 10, 45, 51):
        other = "a" if key[place] != "a" else "b"
        assert not is_api_key(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize("text", ["", "wh_", "\ud800", "x" * 52])
def test_other_text_is_not_an_api_key(text: str) -> None:
    assert not is_api_key(text)
    assert not is_api_key(make_api_key() + text + "\n")


def test_keys_and_secrets_are_different_each_time() -> None:
    assert len({make_api_key() for _ in range(50)} | {make_secret() for _ in range(50)}) == 100


def test_a_fingerprint_is_a_sha_256_of_any_text() -> None:
    assert fingerprint("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert len(fingerprint("\ud800")) == 64
