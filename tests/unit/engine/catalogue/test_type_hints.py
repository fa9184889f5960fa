"""A signature that can't be served is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pydantic import Field

from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.errors import UnservableFunction

if TYPE_CHECKING:
    from decimal import Decimal


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
def test_the_refusal_of_a_signature_names_the_parameter_and_the_fix(function, parameter, fix):
    with pytest.raises(UnservableFunction) as caught:
        Parameters(function)
    message = caught.value.message
    assert f"{__name__}.{function.__name__}" in message
    assert parameter in message
    assert fix in message


def test_a_return_hint_that_can_not_be_written_as_json_is_refused():
    def function() -> threading.Thread: ...  # type: ignore[empty-body]

    with pytest.raises(UnservableFunction, match=r"return value.*threading\.Thread"):
        ResultType(function)
