"""Types for parameters and results, and the faults of a body."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Literal

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, field_validator
from typing_extensions import TypedDict

from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.errors import Fault, InvalidParameters


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", 10**400]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["value", "email", "kind"]), inner),
    max_leaves=20,
)


def faults(function: Callable[..., Any], body: object) -> list[Fault]:
    with pytest.raises(InvalidParameters) as caught:
        Parameters(function).validate(body)
    return caught.value.faults


def places(function: Callable[..., Any], body: object) -> list[tuple[str | None, str]]:
    return [(fault.pointer, fault.code) for fault in faults(function, body)]
