"""The client with less overhead, on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from jobs.engine.broker.connection import connect
from jobs.engine.broker.fast_redis import KEEP, FastRedis
from jobs.engine.settings import Settings


@pytest.fixture
def fast(connection: redis.Redis, settings: Settings) -> Iterator[redis.Redis]:
    with connect(settings, kind=FastRedis) as fast:
        yield fast


def sha(client: redis.Redis, script: str) -> str:
    return str(client.script_load(script))


def test_a_script_runs_and_returns_its_reply(fast: redis.Redis) -> None:
    assert fast.evalsha(sha(fast, "return {ARGV[1], 2}"), 0, "a") == [b"a", 2]


def test_an_unknown_script_is_an_error_after_which_the_connection_still_works(fast: redis.Redis) -> None:
    known = sha(fast, "return 1")
    with pytest.raises(redis.exceptions.NoScriptError):
        fast.evalsha("0" * 40, 0)
    assert fast.evalsha(known, 0) == 1


def test_a_connection_that_the_broker_has_closed_fails_once_and_is_opened_again(
    fast: redis.Redis, connection: redis.Redis
) -> None:
    known = sha(fast, "return 1")
    fast.evalsha(known, 0)
    connection.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(redis.exceptions.ConnectionError):
        fast.evalsha(known, 0)
    assert fast.evalsha(known, 0) == 1


def test_a_command_larger_than_the_socket_s_buffer_is_sent_in_parts(fast: redis.Redis) -> None:
    size = sha(fast, "return #ARGV[1]")
    assert fast.evalsha(size, 0, "x") == 1
    assert fast.evalsha(size, 0, "x" * 10_000_000) == 10_000_000


def test_more_threads_than_ready_connections_each_get_their_own_reply(fast: redis.Redis) -> None:
    echo = sha(fast, "return ARGV[1]")
    numbers = [str(number) for number in range(20 * KEEP)]
    with ThreadPoolExecutor(2 * KEEP) as pool:
        replies = list(pool.map(lambda number: fast.evalsha(echo, 0, number), numbers))
    assert [reply.decode() for reply in replies] == numbers


def test_a_wait_for_a_list_returns_what_is_pushed_or_nothing(fast: redis.Redis) -> None:
    assert fast.blpop(["a", "b"], 0.01) is None
    fast.rpush("b", "x")
    assert fast.blpop(["a", "b"], 1.0) == [b"b", b"x"]
