from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from jobs.engine.accounts.credential_cache import CredentialCache
from jobs.engine.accounts.user import User


class Clock:
    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> CredentialCache:
    return CredentialCache(max_entries=3, clock=clock)


def user(name: str) -> User:
    return User(name, f"{name}@example.com", ("user",), datetime(2026, 1, 1, tzinfo=UTC))


ALICE, BOB = user("alice"), user("bob")


def test_a_credential_is_remembered_for_five_seconds(cache: CredentialCache, clock: Clock) -> None:
    cache.put("digest", ALICE)
    clock.seconds += 4.9
    assert cache.get("digest") == ALICE
    clock.seconds += 0.1
    assert cache.get("digest") is None


def test_reading_an_entry_does_not_prolong_it(cache: CredentialCache, clock: Clock) -> None:
    cache.put("digest", ALICE)
    for _ in range(5):
        cache.get("digest")
        clock.seconds += 1
    assert cache.get("digest") is None


def test_a_token_is_not_remembered_after_it_expires(cache: CredentialCache, clock: Clock) -> None:
    cache.put("token", ALICE, seconds=2)
    clock.seconds += 2
    assert cache.get("token") is None


def test_no_credential_is_remembered_longer_than_five_seconds(cache: CredentialCache, clock: Clock) -> None:
    cache.put("token", ALICE, seconds=float("inf"))
    clock.seconds += 5
    assert cache.get("token") is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_token_that_has_expired_replaces_its_entry_with_none(cache: CredentialCache, seconds: float) -> None:
    cache.put("token", ALICE)
    cache.put("token", ALICE, seconds=seconds)
    assert cache.get("token") is None


def test_a_second_look_up_starts_a_new_lifetime(cache: CredentialCache, clock: Clock) -> None:
    cache.put("digest", ALICE)
    clock.seconds += 4
    cache.put("digest", BOB)
    clock.seconds += 4
    assert cache.get("digest") == BOB


def test_a_full_cache_drops_the_least_recently_used_entry(cache: CredentialCache) -> None:
    for digest in ("1", "2", "3"):
        cache.put(digest, ALICE)
    cache.get("1")
    cache.put("4", BOB)
    assert [digest for digest in ("1", "2", "3", "4") if cache.get(digest)] == ["1", "3", "4"]


def test_dropping_a_credential_keeps_the_others(cache: CredentialCache) -> None:
    cache.put("1", ALICE)
    cache.put("2", ALICE)
    cache.drop("1")
    cache.drop("unknown")
    assert cache.get("1") is None and cache.get("2") == ALICE


def test_a_dropped_user_is_forgotten_with_all_credentials(cache: CredentialCache) -> None:
    cache.put("1", ALICE)
    cache.put("2", BOB)
    cache.put("3", ALICE)
    cache.drop_user("alice")
    assert [cache.get(digest) for digest in ("1", "2", "3")] == [None, BOB, None]


def test_many_threads_may_use_the_cache_at_once() -> None:
    cache = CredentialCache(max_entries=10)

    def use(number: int) -> bool:
        digest = str(number % 20)
        cache.put(digest, ALICE if number % 2 else BOB)
        if number % 50 == 0:
            cache.drop_user("alice")
        if number % 3 == 0:
            cache.drop(digest)
        return cache.get(digest) in (ALICE, BOB, None)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(4_000)))
