"""A job type describes its function, and refuses one that can't be served."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.engine.author.decorator import job
from jobs.engine.author.retry import Retry
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import UnservableFunction

Write = Callable[..., str]


def test_a_signature_that_cannot_be_served_is_refused_at_start_up(write_package: Write):
    with pytest.raises(UnservableFunction, match=r"a\.run: parameter 'text' has no type hint"):
        Catalogue.discover([write_package(a="@job\ndef run(text): ...")])


def test_a_type_whose_schema_can_not_be_made_is_refused_with_its_function(write_package: Write):
    text = """
    class Odd:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_):
            raise RuntimeError("no schema\\nfor this")

    @job
    def run(odd: Odd) -> None: ...
    """
    with pytest.raises(UnservableFunction, match=r"a\.run: its signature can't be served: RuntimeError: no schema for"):
        Catalogue.discover([write_package(a=text)])


def test_a_function_that_its_module_has_replaced_is_refused(write_package: Write):
    text = "@job(name='first')\ndef run() -> None: ...\nkept = run\n@job(name='second')\ndef run() -> None: ..."
    with pytest.raises(UnservableFunction, match=r"a\.run is not the object that its module has"):
        Catalogue.discover([write_package(a=text)])


def test_a_wrapped_function_is_served_with_its_wrapper(write_package: Write):
    text = """
    import functools

    def doubled(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return 2 * function(*args, **kwargs)
        return wrapper

    @doubled
    @job
    def count(n: int) -> int:
        return n
    """
    found = Catalogue.discover([write_package(a=text)]).find("count")
    args, kwargs = found.parameters.bind({"n": 4})
    assert found.function(*args, **kwargs) == 8


def documented(n: int = 3) -> list[int]:
    """Count."""
    return list(range(n))


def test_a_job_type_describes_itself_to_clients():
    job(timeout=9, stall_timeout=2.5, retry=Retry(max=3), max_running=2, result_ttl=60, preload=["json"], reuse=7)(
        documented
    )
    found = JobType.of(documented)
    described = found.as_dict()
    assert described["retry"]["max_retries"] == 3
    assert described["params_schema"]["properties"]["n"]["default"] == 3
    assert described["result_schema"]["type"] == "array"
    assert {name: described[name] for name in ("name", "summary", "description", "priority", "timeout")} == {
        "name": "documented",
        "summary": "Count.",
        "description": "",
        "priority": "default",
        "timeout": 9,
    }
    assert (described["stall_timeout"], described["max_running"], described["result_ttl"]) == (2.5, 2, 60)
    assert (found.max_attempts, described["max_attempts"], found.preload) == (4, 4, ("json",))
    assert (found.reuse, described["reuse"]) == (7, 7)
    job(documented)
    assert JobType.of(documented).reuse == 1


def test_the_repr_of_a_job_type_is_the_same_in_every_process():
    job(documented)
    assert " at 0x" not in repr(JobType.of(documented))
