"""Submitted JSON is checked and becomes the arguments of a call."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.errors import MAX_FAULTS, Fault, InvalidParameters
from tests.unit.engine.catalogue.samples import JSON, Brittle, Colour, Email, Node, Options, Point, Sms, faults, places


def arguments(function: Callable[..., Any], **params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = Parameters(function)
    parameters.validate(params)
    return parameters.bind(params)


def predict(texts: list[str], /, model_id: str | None = None, *, limit: Annotated[int, Field(ge=1)] = 10) -> int:
    return len(texts)


def anything(value: Any) -> Any:
    return value


def test_all_kinds_of_parameters_are_bound_with_their_defaults():
    args, kwargs = arguments(predict, texts=["a", "b"])
    assert (args, kwargs) == ((["a", "b"], None), {"limit": 10})
    assert predict(*args, **kwargs) == 2


def test_values_of_all_types_are_converted():
    def function(
        node: Node,
        point: Point,
        options: Options,
        colour: Colour,
        at: datetime,
        level: Literal["low", "high"],
        pair: tuple[int, str],
        words: set[str],
        counts: dict[str, int],
        either: int | list[int],
        maybe: date | None = None,
    ) -> None: ...

    args, _ = arguments(
        function,
        node={"value": 1, "children": [{"value": 2}]},
        point={"x": 1, "days": ["2030-01-31"]},
        options={"depth": 3},
        colour="red",
        at="2030-01-31T12:00:00Z",
        level="low",
        pair=[1, "b"],
        words=["a", "a"],
        counts={"a": 1},
        either=[1],
    )
    assert args == (
        Node(value=1, children=[Node(value=2)]),
        Point(1, [date(2030, 1, 31)]),
        {"depth": 3},
        Colour.RED,
        datetime(2030, 1, 31, 12, tzinfo=UTC),
        "low",
        (1, "b"),
        {"a"},
        {"a": 1},
        [1],
        None,
    )


def test_a_parameter_may_have_any_name_that_python_allows():
    def function(
        model_config: int, json: int, copy: int, self: int, cls: int, arg0: int, model_fields: int
    ) -> None: ...

    names = ["model_config", "json", "copy", "self", "cls", "arg0", "model_fields"]
    args, _ = arguments(function, **{name: place for place, name in enumerate(names)})
    assert args == (0, 1, 2, 3, 4, 5, 6)
    assert list(Parameters(function).schema["properties"]) == names


def test_a_field_name_of_the_inner_model_is_not_a_parameter():
    assert places(predict, {"texts": [], "arg1": "x"}) == [("/arg1", "extra_forbidden")]


def test_each_call_gets_new_values():
    def function(sizes: list[int] = [128], node: Node = Node(value=1)) -> None: ...  # noqa: B006, B008 (what is tested)

    parameters = Parameters(function)
    (sizes, node), _ = parameters.bind({})
    sizes.append(512)
    node.value = 9
    assert parameters.bind({})[0] == ([128], Node(value=1))


def test_a_strict_model_accepts_the_json_form_of_its_values():
    def function(message: Sms) -> None: ...

    (message,), _ = arguments(function, message={"kind": "sms", "at": "2030-01-31T12:00:00Z"})
    assert message.at.year == 2030


def test_stored_parameters_that_are_no_longer_valid_are_refused():
    with pytest.raises(InvalidParameters):
        Parameters(predict).bind({"texts": 3})


def test_each_error_is_one_fault_with_a_pointer():
    body = {"texts": ["a", 1, 2], "limit": 0}
    assert places(predict, body) == [
        ("/texts/1", "string_type"),
        ("/texts/2", "string_type"),
        ("/limit", "greater_than_equal"),
    ]


def test_the_fault_of_a_missing_parameter_points_to_its_place():
    assert places(predict, {}) == [("/texts", "missing")]


def test_a_similar_name_is_suggested_for_an_unknown_parameter():
    (fault,) = faults(predict, {"texts": [], "model": "x"})
    assert (fault.pointer, fault.code) == ("/model", "extra_forbidden")
    assert "did you mean 'model_id'?" in fault.message


@pytest.mark.parametrize("body", [None, [], "text", 3, True, [{}]])
def test_a_body_that_is_not_an_object_is_refused_as_a_whole(body):
    assert places(predict, body) == [("", "model_type")]


def test_the_number_of_listed_errors_is_limited():
    found = faults(predict, {"texts": [1] * 5000})
    assert len(found) == MAX_FAULTS + 1
    assert found[-1].message == f"and {5000 - MAX_FAULTS} more errors"


def test_an_unexpected_error_in_a_validator_reveals_nothing(caplog):
    def function(brittle: Brittle) -> None: ...

    (fault,) = faults(function, {"brittle": {"value": 13}})
    assert (fault.pointer, fault.code) == ("", "unchecked")
    assert "secret" not in fault.message
    assert "a secret" in caplog.text


def test_the_message_of_a_custom_validator_is_shown_unchanged():
    def function(brittle: Brittle) -> None: ...

    assert [fault.message for fault in faults(function, {"brittle": {"value": 14}})] == ["must not be 14"]


def mixed(
    value: int | Node | list[Node] = 1,
    point: Point | None = None,
    target: Annotated[Email | Sms, Field(discriminator="kind")] | None = None,
    counts: dict[int, float] = {},  # noqa: B006 (never called)
) -> None: ...


MIXED = Parameters(mixed)


@given(st.dictionaries(st.sampled_from(["value", "point", "target", "counts", "x"]), JSON) | JSON)
def test_no_json_raises_any_other_error_than_invalid_parameters(body):
    found: list[Fault] = []
    try:
        MIXED.validate(body)
    except InvalidParameters as error:
        found = error.faults or [Fault("nothing is wrong", "none")]
    assert all(fault.pointer is not None for fault in found)


def test_the_schema_describes_what_is_validated():
    schema = Parameters(predict).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["texts"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["limit"] == {"default": 10, "minimum": 1, "title": "Limit", "type": "integer"}
    assert "title" not in schema


def test_references_have_the_requested_form():
    def function(node: Node) -> Node: ...  # type: ignore[empty-body]

    for schema in (
        Parameters(function).schema_with("#/here/{model}"),
        ResultType(function).schema_with("#/here/{model}"),
    ):
        assert "#/here/Node" in json.dumps(schema)
        assert "#/$defs" not in json.dumps(schema)


def test_a_default_that_is_not_json_is_left_out_of_the_schema():
    def function(limit: float = math.inf, point: Point = Point(1)) -> None: ...  # noqa: B008 (what is tested)

    assert Parameters(function).schema["properties"]["point"]["default"] == {"x": 1, "days": []}
