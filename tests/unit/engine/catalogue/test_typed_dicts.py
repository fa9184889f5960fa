"""`typing.TypedDict` as a parameter and as a result, on every Python."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NotRequired, Required, TypedDict, TypeVar

import pytest
from pydantic import Field

from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.errors import InvalidParameters, ResultInvalid, UnservableFunction

Item = TypeVar("Item")


class Point(TypedDict):
    """A place on the map."""

    x: Annotated[int, Field(ge=0)]
    y: int


class Named(TypedDict):
    name: str


class Shape(Named, total=False):
    corners: Required[list[Point]]
    colour: str
    inner: Shape


class Page(TypedDict, Generic[Item]):
    items: list[Item]
    more: NotRequired[bool]


def takes(point: Point) -> Point:
    return point


def takes_a_shape(shape: Shape) -> Shape:
    return shape


def takes_many(
    listed: list[Point],
    by_name: dict[str, Point],
    either: int | Point,
    optional: Point | None = None,
    described: Annotated[Point | None, Field(description="Where to start")] = None,
) -> dict[str, Point | None]:
    return {}


def takes_pages(numbers: Page[int], points: Page[Point]) -> Page[Shape]:
    return {"items": []}


def takes_a_broken_one(broken: Broken) -> None: ...


class Broken(TypedDict):
    inner: Named
    field: NoSuchType  # type: ignore[name-defined]  # noqa: F821 (the test is about it)


def faults(function: Any, body: dict[str, Any]) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidParameters) as caught:
        Parameters(function).validate(body)
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


def test_a_typed_dict_is_bound_as_a_dict_of_checked_values() -> None:
    args, _ = Parameters(takes).bind({"point": {"x": "1", "y": 2}})
    assert args == ({"x": 1, "y": 2},)


def test_every_field_is_required_unless_the_class_says_otherwise() -> None:
    assert faults(takes, {"point": {"x": 1}}) == [("/point/y", "missing")]


def test_constraints_of_fields_are_checked() -> None:
    assert faults(takes, {"point": {"x": -1, "y": 2}}) == [("/point/x", "greater_than_equal")]


def test_the_name_and_docstring_of_a_typed_dict_are_in_the_schema() -> None:
    schema = Parameters(takes).schema["$defs"]["Point"]
    assert (schema["title"], schema["description"], schema["required"]) == ("Point", "A place on the map.", ["x", "y"])


def test_required_and_inherited_fields_of_a_partial_class_are_required() -> None:
    assert faults(takes_a_shape, {"shape": {}}) == [("/shape/name", "missing"), ("/shape/corners", "missing")]
    Parameters(takes_a_shape).validate({"shape": {"name": "dot", "corners": []}})


def test_nested_and_recursive_typed_dicts_are_checked_at_every_level() -> None:
    inner = {"name": "inner", "corners": [{"x": 1, "y": "no"}]}
    body = {"shape": {"name": "outer", "corners": [], "inner": inner}}
    assert faults(takes_a_shape, body) == [("/shape/inner/corners/0/y", "int_parsing")]


def test_a_typed_dict_inside_other_hints_is_checked() -> None:
    point, wrong = {"x": 1, "y": 2}, {"x": 1}
    good = {"listed": [point], "by_name": {"a": point}, "either": point, "optional": point, "described": point}
    Parameters(takes_many).validate(good)
    for name, value in (
        ("listed", [wrong]),
        ("by_name", {"a": wrong}),
        ("either", wrong),
        ("optional", wrong),
        ("described", wrong),
    ):
        assert faults(takes_many, good | {name: value})


def test_a_typed_dict_that_is_used_many_times_is_described_once() -> None:
    assert list(Parameters(takes_many).schema["$defs"]) == ["Point"]


def test_a_generic_typed_dict_is_checked_with_its_argument() -> None:
    good = {"numbers": {"items": [1]}, "points": {"items": [{"x": 1, "y": 2}], "more": True}}
    Parameters(takes_pages).validate(good)
    bad = {"numbers": {"items": ["no"]}, "points": {"items": [1]}}
    assert faults(takes_pages, bad) == [("/numbers/items/0", "int_parsing"), ("/points/items/0", "dict_type")]


def test_results_are_checked_and_written() -> None:
    shape = {"name": "dot", "corners": [{"x": 1, "y": 2}]}
    assert ResultType(takes_a_shape).dump(shape) == '{"name":"dot","corners":[{"x":1,"y":2}]}'
    with pytest.raises(ResultInvalid, match="/corners/0/y"):
        ResultType(takes_a_shape).dump({"name": "dot", "corners": [{"x": 1}]})


def test_a_generic_result_is_checked() -> None:
    with pytest.raises(ResultInvalid, match="/items/0/corners"):
        ResultType(takes_pages).dump({"items": [{"name": "dot"}]})


def test_a_field_that_can_not_be_resolved_is_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(UnservableFunction, match="parameter 'broken'"):
            Parameters(takes_a_broken_one)
