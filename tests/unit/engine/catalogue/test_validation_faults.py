"""Faults point to their place in the body, and JSON that other readers refuse is a fault."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from pydantic import Field

from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.validation_faults import MAX_DEPTH, not_interoperable
from tests.unit.engine.catalogue.samples import Email, Node, Sms, faults, places


def anything(value: Any) -> Any:
    return value


def test_a_pointer_escapes_reserved_characters():
    def function(counts: dict[str, int]) -> None: ...

    assert places(function, {"counts": {"a/b~c": "x"}}) == [("/counts/a~1b~0c", "int_parsing")]


def test_a_pointer_does_not_contain_branches_of_a_union():
    def function(value: int | Node) -> None: ...

    assert {fault.pointer for fault in faults(function, {"value": {"value": "x"}})} == {"/value", "/value/value"}


def test_a_pointer_is_right_if_a_tag_is_also_a_field():
    def function(target: Annotated[Email | Sms, Field(discriminator="kind")]) -> None: ...

    body = {"target": {"kind": "email", "email": "a@b.example", "name": 3}}
    assert places(function, body) == [("/target/name", "string_type")]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (math.nan, ("/value", "finite_number")),
        (["a", -math.inf], ("/value/1", "finite_number")),
        (10**400, ("/value", "number_too_large")),
        ([10**5000], ("/value/0", "number_too_large")),
        ({"a": "x\0y"}, ("/value/a", "string_null")),
        ({"a": {"\0": 1}}, ("/value/a", "string_null")),
        ("\ud800", ("/value", "string_unicode")),
        (object(), ("/value", "json_type")),
    ],
)
def test_json_that_is_not_interoperable_is_refused_for_any_type(value, place):
    assert places(anything, {"value": value}) == [place]


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, 900, 5000])
def test_a_deeply_nested_body_is_refused(depth):
    body: Any = []
    for _ in range(depth):
        body = [body]
    ((_, code),) = places(anything, {"value": body})
    assert code == "too_deep"


def test_a_body_may_be_nested_up_to_the_limit():
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert not_interoperable({"value": value}) is None
    assert Parameters(anything).bind({"value": value}) == ((value,), {})
