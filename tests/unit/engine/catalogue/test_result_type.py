"""Returned values are checked and become JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given

from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.errors import ResultInvalid
from tests.unit.engine.catalogue.samples import JSON, Node, Point, Reading


def returns(hint: Any) -> ResultType:
    def function() -> None: ...

    function.__annotations__ = {"return": hint}
    return ResultType(function)


def without_hint():
    return None


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (list[Point], [Point(1, [date(2030, 1, 31)])], '[{"x":1,"days":["2030-01-31"]}]'),
        (Node, {"value": 1}, '{"value":1,"children":[]}'),
        (set[int], {1}, "[1]"),
        (bytes, b"caf\xc3\xa9", '"café"'),
        (datetime, datetime(2030, 1, 31, tzinfo=UTC), '"2030-01-31T00:00:00Z"'),
        (None, None, "null"),
        (float | None, None, "null"),
        (str, "1" * 400, f'"{"1" * 400}"'),
        (int, "5", "5"),
    ],
)
def test_a_result_is_written_as_compact_json(hint, value, text):
    assert returns(hint).dump(value) == text


def test_without_a_return_hint_any_json_value_is_a_result():
    result = ResultType(without_hint)
    assert result.schema == {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    assert result.dump({"at": date(2030, 1, 31), "points": [Point(1)]}) == (
        '{"at":"2030-01-31","points":[{"x":1,"days":[]}]}'
    )


class Opaque:
    """No JSON."""


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def changed() -> Reading:
    reading = Reading()
    reading.celsius = "warm"  # type: ignore[assignment]
    return reading


@pytest.mark.parametrize(
    ("hint", "value", "where", "expected"),
    [
        (dict[str, list[int]], {"a/b": [1, "x"]}, "/a~1b/1", "valid integer"),
        (int, None, "the result", "valid integer, got NoneType"),
        (float, math.nan, "the result", "finite number"),
        (Reading, Reading(celsius=math.nan), "/celsius", "finite number"),
        (Reading, Reading(note={"a": [1, math.inf]}), "/note/a/1", "finite number, got inf"),
        (Any, {"a": 10**5000}, "/a", "finite number"),
        (Any, {"a": [Opaque()]}, "/a/0", "JSON value, got Opaque"),
        (Any, {"a": "\ud800"}, "/a", "JSON value, got str"),
        (bytes, b"\xff", "the result", "JSON value, got bytes"),
        (Reading, changed(), "/celsius", "valid number"),
        (Any, circle(), "", "Circular"),
    ],
)
def test_the_refusal_of_a_result_names_the_place_and_the_expected_value(hint, value, where, expected):
    with pytest.raises(ResultInvalid) as caught:
        returns(hint).dump(value)
    assert where in caught.value.message
    assert expected in caught.value.message


def test_a_result_with_nulls_and_finite_numbers_is_accepted():
    assert returns(Any).dump({"a": None, "b": [1.5, None]}) == '{"a":null,"b":[1.5,null]}'


@given(JSON)
def test_a_written_result_is_read_back_unchanged(value):
    try:
        text = returns(Any).dump(value)
    except ResultInvalid:
        return
    assert json.loads(text) == value
