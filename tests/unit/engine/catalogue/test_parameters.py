"""Type hints become schemas, JSON becomes arguments, and results become JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from jobs.engine.catalogue.parameters import MAX_FAULTS, Parameters
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.catalogue.validation_faults import MAX_DEPTH
from jobs.engine.errors import Fault, InvalidParameters, ResultInvalid, UnservableFunction

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Email(BaseModel):
    kind: Literal["email"]
    email: str
    name: str


class Sms(BaseModel):
    model_config = ConfigDict(strict=True)

    kind: Literal["sms"]
    at: datetime


class Brittle(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def _break(cls, value: int) -> int:
        if value == 13:
            raise KeyError("a secret")
        if value == 14:
            raise ValueError("must not be 14")
        return value


@dataclasses.dataclass
class Point:
    x: int
    days: list[date] = dataclasses.field(default_factory=list)


class Options(TypedDict):
    depth: int


class Reading(BaseModel):
    celsius: float = 0.0
    note: Any = None


def faults(function: Callable[..., Any], body: object) -> list[Fault]:
    with pytest.raises(InvalidParameters) as caught:
        Parameters(function).validate(body)
    return caught.value.faults


def places(function: Callable[..., Any], body: object) -> list[tuple[str | None, str]]:
    return [(fault.pointer, fault.code) for fault in faults(function, body)]


def arguments(function: Callable[..., Any], **params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = Parameters(function)
    parameters.validate(params)
    return parameters.bind(params)


def predict(texts: list[str], /, model_id: str | None = None, *, limit: Annotated[int, Field(ge=1)] = 10) -> int:
    return len(texts)


def anything(value: Any) -> Any:
    return value


# --- binding --------------------------------------------------------------------------


def test_parameters_of_every_kind_reach_the_call_with_their_defaults():
    args, kwargs = arguments(predict, texts=["a", "b"])
    assert (args, kwargs) == ((["a", "b"], None), {"limit": 10})
    assert predict(*args, **kwargs) == 2


def test_every_type_that_pydantic_knows_arrives_as_itself():
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


def test_a_field_of_the_inner_model_is_no_way_to_pass_a_parameter():
    assert places(predict, {"texts": [], "arg1": "x"}) == [("/arg1", "extra_forbidden")]


def test_every_call_gets_values_of_its_own():
    def function(sizes: list[int] = [128], node: Node = Node(value=1)) -> None: ...  # noqa: B006, B008 (what is tested)

    parameters = Parameters(function)
    (sizes, node), _ = parameters.bind({})
    sizes.append(512)
    node.value = 9
    assert parameters.bind({})[0] == ([128], Node(value=1))


def test_a_strict_model_takes_json_as_json_writes_it():
    def function(message: Sms) -> None: ...

    (message,), _ = arguments(function, message={"kind": "sms", "at": "2030-01-31T12:00:00Z"})
    assert message.at.year == 2030


def test_params_that_no_longer_fit_are_refused_when_they_are_bound():
    with pytest.raises(InvalidParameters):
        Parameters(predict).bind({"texts": 3})


# --- faults -----------------------------------------------------------------------------


def test_each_error_is_one_fault_with_a_pointer_into_the_body():
    body = {"texts": ["a", 1, 2], "limit": 0}
    assert places(predict, body) == [
        ("/texts/1", "string_type"),
        ("/texts/2", "string_type"),
        ("/limit", "greater_than_equal"),
    ]


def test_a_missing_parameter_is_pointed_at_where_it_should_be():
    assert places(predict, {}) == [("/texts", "missing")]


def test_an_unknown_parameter_is_refused_with_the_nearest_name():
    (fault,) = faults(predict, {"texts": [], "model": "x"})
    assert (fault.pointer, fault.code) == ("/model", "extra_forbidden")
    assert "did you mean 'model_id'?" in fault.message


def test_a_pointer_escapes_what_json_pointer_reserves():
    def function(counts: dict[str, int]) -> None: ...

    assert places(function, {"counts": {"a/b~c": "x"}}) == [("/counts/a~1b~0c", "int_parsing")]


def test_a_pointer_holds_no_branch_of_a_union():
    def function(value: int | Node) -> None: ...

    assert {fault.pointer for fault in faults(function, {"value": {"value": "x"}})} == {"/value", "/value/value"}


def test_a_pointer_is_right_where_a_tag_is_also_a_field():
    def function(target: Annotated[Email | Sms, Field(discriminator="kind")]) -> None: ...

    body = {"target": {"kind": "email", "email": "a@b.example", "name": 3}}
    assert places(function, body) == [("/target/name", "string_type")]


@pytest.mark.parametrize("body", [None, [], "text", 3, True, [{}]])
def test_a_body_that_is_no_object_is_one_fault_about_the_whole(body):
    assert places(predict, body) == [("", "model_type")]


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
def test_json_that_breaks_further_on_is_refused_even_where_anything_goes(value, place):
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
    Parameters(anything).validate({"value": value})


def test_a_body_with_very_many_errors_has_its_first_ones_listed():
    found = faults(predict, {"texts": [1] * 5000})
    assert len(found) == MAX_FAULTS + 1
    assert found[-1].message == f"and {5000 - MAX_FAULTS} more errors"


def test_a_validator_that_breaks_is_a_fault_that_gives_nothing_away(caplog):
    def function(brittle: Brittle) -> None: ...

    (fault,) = faults(function, {"brittle": {"value": 13}})
    assert (fault.pointer, fault.code) == ("", "unchecked")
    assert "secret" not in fault.message
    assert "a secret" in caplog.text


def test_the_message_of_an_author_s_validator_is_shown_as_it_is():
    def function(brittle: Brittle) -> None: ...

    assert [fault.message for fault in faults(function, {"brittle": {"value": 14}})] == ["must not be 14"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", 10**400]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["value", "email", "kind"]), inner),
    max_leaves=20,
)


def mixed(
    value: int | Node | list[Node] = 1,
    point: Point | None = None,
    target: Annotated[Email | Sms, Field(discriminator="kind")] | None = None,
    counts: dict[int, float] = {},  # noqa: B006 (never called)
) -> None: ...


MIXED = Parameters(mixed)


@given(st.dictionaries(st.sampled_from(["value", "point", "target", "counts", "x"]), JSON) | JSON)
def test_no_json_at_all_raises_anything_but_invalid_parameters(body):
    found: list[Fault] = []
    try:
        MIXED.validate(body)
    except InvalidParameters as error:
        found = error.faults or [Fault("nothing is wrong", "none")]
    assert all(fault.pointer is not None for fault in found)


# --- schemas ------------------------------------------------------------------------------


def test_the_schema_says_what_the_validation_checks():
    schema = Parameters(predict).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["texts"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["limit"] == {"default": 10, "minimum": 1, "title": "Limit", "type": "integer"}
    assert "title" not in schema


def test_references_take_the_form_that_is_asked_for():
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


# --- refused functions ------------------------------------------------------------------------


def no_hint(texts): ...
def star(*texts: str) -> None: ...
def stars(**options: str) -> None: ...
def unresolvable(amount: Decimal) -> None: ...
def misspelt(amount: Decimel) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def callback(value: int, done: Callable[[int], int]) -> None: ...
def foreign(value: int, thread: threading.Thread) -> None: ...
def bad_default(value: int, limit: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
def field_default(value: int = Field(3)) -> None: ...


@pytest.mark.parametrize(
    ("function", "parameter", "fix"),
    [
        (no_hint, "'texts'", "texts: str"),
        (star, "'texts'", "take one list"),
        (stars, "'options'", "name each parameter"),
        (unresolvable, "'amount'", "not under TYPE_CHECKING"),
        (misspelt, "'amount'", "Decimel"),
        (callback, "'done'", "use a type that pydantic can validate"),
        (foreign, "'thread'", "use a type that pydantic can validate"),
        (bad_default, "'limit'", "int | None = None"),
        (field_default, "'value'", "Annotated"),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused_with_the_parameter_and_the_fix(function, parameter, fix):
    with pytest.raises(UnservableFunction) as caught:
        Parameters(function)
    message = caught.value.message
    assert f"{__name__}.{function.__name__}" in message
    assert parameter in message
    assert fix in message


def test_a_return_hint_that_cannot_be_served_is_refused():
    def function() -> threading.Thread: ...  # type: ignore[empty-body]

    with pytest.raises(UnservableFunction, match=r"return value.*threading\.Thread"):
        ResultType(function)


# --- results --------------------------------------------------------------------------------


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


def test_without_a_return_hint_the_result_is_any_json_value():
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
def test_a_result_that_does_not_fit_is_refused_saying_where_and_what_was_expected(hint, value, where, expected):
    with pytest.raises(ResultInvalid) as caught:
        returns(hint).dump(value)
    assert where in caught.value.message
    assert expected in caught.value.message


def test_a_result_with_nulls_and_finite_numbers_is_no_nan():
    assert returns(Any).dump({"a": None, "b": [1.5, None]}) == '{"a":null,"b":[1.5,null]}'


@given(JSON)
def test_what_a_result_type_writes_is_json_that_reads_back(value):
    try:
        text = returns(Any).dump(value)
    except ResultInvalid:
        return
    assert json.loads(text) == value
