"""The decorator `@job` returns its function, and refuses the ones that can't be jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.engine.author.decorator import OPTIONS, job
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.errors import UnservableFunction

Write = Callable[..., str]


BAD_REUSE = (0, -1, True, 1.5, 10_001, None)


def plain(value: int) -> int:
    return value + 1


def test_a_decorated_function_is_the_same_function():
    def top(value: int) -> int:
        return value + 1

    top.__qualname__ = "top"
    assert job(top) is top
    assert job(timeout=5)(top) is top
    assert top(1) == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "Batch Predict"}, "name='Batch Predict'"),
        ({"name": "a/b"}, "lower-case words"),
        ({"name": "a" * 101}, "name="),
        ({"priority": "urgent"}, "high, default, low"),
        ({"priority": ["high"]}, "priority="),
        ({"timeout": 0}, "whole seconds, at least 1"),
        ({"timeout": 1.5}, "timeout=1.5"),
        ({"timeout": True}, "timeout=True"),
        ({"timeout": None}, "timeout=None"),
        ({"stall_timeout": 0}, "stall_timeout=0"),
        ({"stall_timeout": float("inf")}, "stall_timeout=inf"),
        ({"retry": 3}, r"retry=Retry\(max=3\)"),
        ({"max_running": 0}, "max_running=0"),
        ({"result_ttl": 0}, "result_ttl=0"),
        ({"preload": "sklearn"}, r"preload=\('sklearn',\)"),
        ({"preload": ("no module",)}, "preload="),
        ({"needs": "gpu"}, r"needs='gpu'\): expected a tuple of at most 8 names, as in needs=\('gpu',\)"),
        ({"needs": ("GPU",)}, r"needs=\('GPU',\)"),
        ({"needs": ("gpu+large",)}, "needs="),
        ({"needs": ("gpu@high",)}, "needs="),
        ({"needs": ("",)}, "needs="),
        ({"needs": ("gpu\n",)}, "needs="),
        ({"needs": ("a" * 41,)}, "at most 40 characters"),
        ({"needs": tuple("abcdefghi")}, "at most 8 names"),
        ({"needs": None}, "needs=None"),
        *(({"reuse": value}, f"reuse={value}.: expected a whole number from 1 to 10,000") for value in BAD_REUSE),
    ],
)
def test_the_refusal_of_an_option_names_the_function(options: dict[str, Any], named: str):
    with pytest.raises(UnservableFunction, match=named) as caught:
        job(**options)(plain)
    assert f"{__name__}.plain" in caught.value.message


def test_needs_are_sorted_and_each_is_kept_once():
    def top() -> None: ...

    top.__qualname__ = "top"
    assert getattr(job(needs=["large", "gpu", "gpu"])(top), OPTIONS).needs == ("gpu", "large")


def test_a_nested_function_is_refused():
    with pytest.raises(UnservableFunction, match=r"nested is defined inside a function"):

        @job
        def nested() -> None: ...


def test_a_method_is_refused():
    class Holder:
        def method(self) -> None: ...

    Holder.method.__qualname__ = "Holder.method"
    with pytest.raises(UnservableFunction, match=r"Holder\.method is a method"):
        job(Holder.method)


def test_a_lambda_is_refused():
    with pytest.raises(UnservableFunction, match="is a lambda"):
        job(lambda: None)


@pytest.mark.parametrize("text", ["async def wait() -> None: ...", "async def wait() -> None:\n    yield"])
def test_an_async_function_is_refused(write_package: Write, text: str):
    with pytest.raises(UnservableFunction, match=r"jobs\.wait is async"):
        Catalogue.discover([write_package(jobs=f"@job\n{text}")])


def test_a_generator_is_refused(write_package: Write):
    with pytest.raises(UnservableFunction, match=r"jobs\.count is a generator"):
        Catalogue.discover([write_package(jobs="@job\ndef count() -> int:\n    yield 1")])


@pytest.mark.parametrize("thing", ["a-name", int, len])
def test_anything_but_a_function_is_refused(thing: Any):
    with pytest.raises(UnservableFunction, match="for plain functions"):
        job(thing)
