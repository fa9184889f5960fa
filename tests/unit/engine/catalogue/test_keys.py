"""Keys are equal for values that are equal to the function, and for no others."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr

from jobs.engine import File
from jobs.engine.catalogue.keys import KeyReader
from jobs.engine.errors import UnservableFunction

FILE_ID = "0123456789abcdef" * 2


class Colour(enum.Enum):
    RED = "red"


class Address(BaseModel):
    city: str
    number: int = 1


@dataclass
class Size:
    width: int
    height: int = 2


class Opaque:
    """A type that pydantic can read, but not write."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(lambda _text: cls(), core_schema.str_schema())


def place(customer_id: int, region: str = "eu", user: str = "") -> None: ...


def anything(value: Any) -> None: ...


def reader(hint: Any) -> KeyReader:
    def function(value): ...

    function.__annotations__ = {"value": hint}
    return KeyReader(function, ("value",), "Limit()")


def name(hint: Any, value: Any) -> str:
    return reader(hint).key({"value": value}, "alice").name


def test_a_key_has_the_values_in_the_order_of_their_names():
    key = KeyReader(place, ("region", "customer_id"), "Limit()").key({"customer_id": 17, "region": "us"}, None)
    assert key.name == "region=us,customer_id=17"
    assert key.shown == "region=us, customer_id=17"


def test_a_default_is_filled_in():
    keys = KeyReader(place, ("region",), "Limit()")
    assert keys.key({"customer_id": 1}, None) == keys.key({"customer_id": 2, "region": "eu"}, None)


def test_user_stands_for_the_owner_unless_it_is_a_parameter():
    def plain(text: str) -> None: ...

    assert KeyReader(plain, ("user",), "Limit()").key({"text": ""}, "alice").name == "user=alice"
    assert KeyReader(plain, ("user",), "Limit()").key({"text": ""}, None).name == "user=null"
    assert KeyReader(place, ("user",), "Limit()").key({"customer_id": 1, "user": "x"}, "alice").name == "user=x"


@pytest.mark.parametrize(
    ("hint", "one", "other"),
    [
        (float, 1, 1.0),
        (int, 1, 1.0),
        (Any, 1, 1.0),
        (float, 0.0, -0.0),
        (Decimal, "1.50", "1.5"),
        (Decimal, 1, "1.00"),
        (set[str], ["a", "b"], ["b", "a"]),
        (dict[str, int], {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Address, {"city": "Rome"}, {"number": 1, "city": "Rome"}),
        (Size, {"width": 1}, {"width": 1, "height": 2}),
        (datetime, "2030-01-31T12:00:00Z", "2030-01-31T14:00:00+02:00"),
        (UUID, "12345678123456781234567812345678", "12345678-1234-5678-1234-567812345678"),
        (int, "17", 17),
    ],
)
def test_equal_values_have_one_key(hint: Any, one: Any, other: Any):
    assert name(hint, one) == name(hint, other)


@pytest.mark.parametrize(
    ("hint", "one", "other"),
    [
        (Any, 1, True),
        (Any, 0, False),
        (Any, 1, "1"),
        (Any, None, "null"),
        (Any, True, "true"),
        (str, "", " "),
        (str, "é", "e\u0301"),
        (str, "a,b=c", "a"),
        (str, "x" * 1000, "x" * 1001),
        (list[str], ["a", "b"], ["b", "a"]),
        (list[Any], [1], [[1]]),
        (Any, {"a": None}, {}),
        (float, "nan", "inf"),
        (datetime, "2030-01-31T12:00:00", "2030-01-31T12:00:00Z"),
        (Any, 10**300, 10**300 + 1),
        (Opaque, "a", "b"),
        (File, FILE_ID, FILE_ID[::-1]),
    ],
)
def test_different_values_have_different_keys(hint: Any, one: Any, other: Any):
    assert name(hint, one) != name(hint, other)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("eu", "value=eu"),
        ("two  words\n", "value=two words"),
        (None, "value=null"),
        ({"b": 1, "a": "ü"}, 'value={"a":"ü","b":1}'),
    ],
)
def test_people_see_the_values(value: Any, shown: str):
    assert KeyReader(anything, ("value",), "Limit()").key({"value": value}, None).shown == shown


def test_an_enum_is_its_value():
    assert name(Colour, "red") == "value=red"


def test_a_name_is_short_and_has_no_spaces_whatever_the_value():
    key = KeyReader(anything, ("value",), "Limit()").key({"value": "a b " * 100_000}, None)
    assert len(key.name) < 40
    assert " " not in key.name
    assert len(key.shown) == 200


def test_a_date_at_the_end_of_the_calendar_has_a_key():
    assert name(datetime, "0001-01-01T00:00:00+14:00") != name(datetime, "9999-12-31T23:59:59-12:00")


def test_a_name_that_is_no_parameter_is_refused_with_a_suggestion():
    with pytest.raises(
        UnservableFunction, match=r"place: Limit\(running=1\): there is no parameter 'custmer_id'; did you"
    ):
        KeyReader(place, ("custmer_id",), "Limit(running=1)")


def test_a_secret_can_not_be_a_key():
    with pytest.raises(UnservableFunction, match="parameter 'value' is a secret, which can't be a key"):
        reader(SecretStr | None)
