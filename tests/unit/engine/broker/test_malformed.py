"""Reading malformed records: skipped with one log line, while errors of the connection pass through."""

from __future__ import annotations

import json
from typing import Any

import fakeredis
import pytest
import redis

from jobs.engine.broker.malformed import json_value, readable, readable_all, replies, text, whole


@pytest.fixture
def connection() -> Any:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.mark.parametrize("record", [b"garbage", b"[" * 100_000, b'{"a": 1}', b"5", b"null", b"\xff"])
def test_a_malformed_record_is_none_with_one_log_line(record: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert readable("wh:x", lambda: int(json.loads(record)["b"]["c"])) is None
    (line,) = caplog.messages
    assert line.startswith("'wh:x' is malformed and was skipped: ") and "\n" not in line


def test_a_readable_record_is_returned_without_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    assert readable("wh:x", lambda: 5) == 5
    assert caplog.messages == []


def test_a_key_of_another_type_is_read_as_none(connection: Any) -> None:
    connection.set("wh:x", "text")
    assert readable("wh:x", lambda: connection.hgetall("wh:x")) is None


@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.ResponseError("OOM"), redis.TimeoutError()])
def test_an_error_of_the_broker_passes_through(error: Exception) -> None:
    def read() -> None:
        raise error

    with pytest.raises(type(error)):
        readable("wh:x", read)


def test_malformed_records_are_left_out_of_a_list() -> None:
    assert readable_all("wh:x", int, ["1", "x", "3"]) == [1, 3]


def test_a_round_trip_skips_a_key_of_another_type(connection: Any) -> None:
    connection.set("wh:text", "text")
    connection.hset("wh:hash", "a", "b")
    pipeline = connection.pipeline(transaction=False)
    pipeline.hget("wh:text", "a")
    pipeline.hget("wh:hash", "a")
    assert replies(pipeline) == [None, b"b"]


def test_values_have_a_default() -> None:
    assert (json_value(b"garbage", 7), json_value(None), json_value("[1]")) == (7, None, [1])
    assert (whole(b"x", 7), whole(None), whole("12")) == (7, 0, 12)
    assert text(b"a\xff") == "a\ufffd"
