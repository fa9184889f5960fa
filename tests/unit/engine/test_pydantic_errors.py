from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from jobs.engine.pydantic_errors import plain_errors


class Order(BaseModel):
    count: int
    size: str = "small"
    note: str = ""

    @field_validator("size")
    @classmethod
    def _known(cls, size: str) -> str:
        if size != "small":
            raise ValueError("only small ones are left")
        return size

    @field_validator("note")
    @classmethod
    def _short(cls, note: str) -> str:
        assert len(note) < 5, "too long"
        return note


def errors_of(value: object):
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(value)
    return plain_errors(caught.value)


def test_the_message_of_a_validator_is_shown_as_its_author_wrote_it():
    found = errors_of({"count": 1, "size": "large", "note": "much too long"})
    assert [each["msg"].partition("\n")[0] for each in found] == ["only small ones are left", "too long"]


def test_a_message_of_pydantic_itself_is_kept():
    assert errors_of({"count": "x"})[0]["msg"].startswith("Input should be a valid integer")


def test_place_kind_and_value_of_an_error_are_kept():
    (found,) = errors_of({"count": "x"})
    assert (found["loc"], found["type"], found["input"]) == (("count",), "int_parsing", "x")


def test_links_to_pydantic_and_contexts_are_left_out():
    (found,) = errors_of({"count": 1, "size": "large"})
    assert "url" not in found and "ctx" not in found
