"""Query parameters are read strictly, and every error is reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from flask import Flask
from pydantic import BaseModel, Field

from jobs.engine.errors import InvalidRequest
from webapp.query import NUMBER, WHOLE_NUMBER, Moment, Nothing, query

app = Flask("query")


class Model(BaseModel):
    count: Annotated[int, Field(ge=0), WHOLE_NUMBER] = 1
    share: Annotated[float | None, NUMBER] = None
    at: Moment | None = None
    tag: tuple[str, ...] = ()


def read(text: str, kind: type[BaseModel] = Model) -> Any:
    with app.test_request_context("/?" + text):
        return query(kind)


def faults(text: str, kind: type[BaseModel] = Model) -> dict[str | None, str]:
    with pytest.raises(InvalidRequest) as refused:
        read(text, kind)
    return {fault.parameter: fault.code for fault in refused.value.faults}


def test_values_are_read_according_to_their_type():
    found = read("count=5&share=0.25&tag=a&tag=b&at=2030-01-31T12:00:00.5%2B02:00")
    assert (found.count, found.share, found.tag) == (5, 0.25, ("a", "b"))
    assert found.at == datetime(2030, 1, 31, 10, 0, 0, 500_000, UTC)


def test_a_missing_parameter_has_its_default():
    assert read("").model_dump() == {"count": 1, "share": None, "at": None, "tag": ()}


def test_an_unknown_parameter_is_refused():
    assert faults("limit=1") == {"limit": "unknown_parameter"}
    assert faults("Count=1") == {"Count": "unknown_parameter"}
    assert faults("x=", Nothing) == {"x": "unknown_parameter"}


def test_a_parameter_may_not_be_repeated():
    assert faults("count=1&count=1") == {"count": "repeated_parameter"}


def test_every_error_is_reported():
    assert set(faults("count=x&share=y&at=z")) == {"count", "share", "at"}


@pytest.mark.parametrize("text", ["", " 1", "1.0", "1_0", "0x1", "+1", "1e3", "%D9%A3", "9" * 19, "true"])
def test_an_integer_consists_of_digits(text):
    assert set(faults(f"count={text}")) == {"count"}


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e5", ".5", "5.", "1,5", "0x1"])
def test_a_number_consists_of_digits_and_a_point(text):
    assert set(faults(f"share={text}")) == {"share"}


@pytest.mark.parametrize(
    "text",
    ["2030-01-31", "2030-01-31T12:00:00", "2030-01-31T12:00Z", "1900000000", "2030-02-30T12:00:00Z",
     "2030-01-31T25:00:00Z", "0001-01-01T00:00:00%2B01:00", "2030-01-31T12:00:00+01:00"],
)  # fmt: skip
def test_a_time_has_a_date_seconds_and_a_zone(text):
    assert set(faults(f"at={text}")) == {"at"}
