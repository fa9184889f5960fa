"""The catalogue finds every @job function once, and refuses the ones that can't be served by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.engine.author.decorator import job
from jobs.engine.author.retry import Retry
from jobs.engine.catalogue.catalogue import Catalogue, JobType
from jobs.engine.errors import ConfigurationError, JobTypeNotFound, UnservableFunction
from jobs.engine.states import Priority

Write = Callable[..., str]


PREDICT = '''
@job(priority="high", timeout=60)
def batch_predict(texts: list[str]) -> int:
    """Predict the label of each text.

    In batches of ten.
    """
    return len(texts)
'''


def test_every_decorated_function_of_a_package_becomes_a_job_type(write_package: Write):
    package = write_package(predictions=PREDICT, mail="@job\ndef send_email(to: str) -> None: ...\ndef other(x): ...")
    catalogue = Catalogue.discover([package])
    assert list(catalogue) == ["batch-predict", "send-email"]
    found = catalogue.find("batch-predict")
    assert found.func_name == f"{package}.predictions.batch_predict"
    assert found.summary == "Predict the label of each text."
    assert found.description == "In batches of ten."
    assert (found.priority, found.timeout, found.max_attempts) == (Priority.HIGH, 60, 1)
    assert catalogue.by_function(found.func_name) is found
    assert catalogue.by_function("os.system") is None
    assert found.function(["a"]) == 1


def test_several_packages_make_one_catalogue(write_package: Write):
    packages = [write_package(a="@job\ndef one() -> None: ..."), write_package(a="@job\ndef two() -> None: ...")]
    assert list(Catalogue.discover(packages)) == ["one", "two"]


def test_a_function_that_several_modules_import_counts_once(write_package: Write):
    package = write_package(a=PREDICT, b="from PACKAGE.a import batch_predict\nsame = batch_predict")
    assert [found.func_name for found in Catalogue.discover([package]).values()] == [f"{package}.a.batch_predict"]


def test_subpackages_are_not_searched(write_package: Write, tmp_path: Path):
    package = write_package(a=PREDICT)
    (tmp_path / package / "engine").mkdir()
    (tmp_path / package / "engine" / "__init__.py").write_text("raise SystemExit('imported')")
    assert list(Catalogue.discover([package])) == ["batch-predict"]


def test_a_module_without_jobs_is_accepted(write_package: Write):
    assert not Catalogue.discover([write_package(constants="LIMIT = 3")])


def test_two_functions_with_the_same_job_name_are_refused(write_package: Write):
    package = write_package(a="@job\ndef run() -> None: ...", b="@job(name='run')\ndef go() -> None: ...")
    with pytest.raises(UnservableFunction, match=rf"{package}\.a\.run and {package}\.b\.go"):
        Catalogue.discover([package])


@pytest.mark.parametrize("text", ["import no_such_module_anywhere", "1 / 0", "def broken(:", "raise SystemExit(3)"])
def test_a_module_that_cannot_be_imported_is_named(write_package: Write, text: str):
    package = write_package(fine=PREDICT, faulty=text)
    with pytest.raises(ConfigurationError, match=rf"{package}\.faulty"):
        Catalogue.discover([package])


def test_a_package_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="no_such_package"):
        Catalogue.discover(["no_such_package"])


def test_a_bad_retry_policy_is_refused_with_its_module(write_package: Write):
    text = "from jobs.engine.author.retry import Retry\n@job(retry=Retry(max=-1))\ndef run() -> None: ..."
    with pytest.raises(ConfigurationError, match=r"\.a of JOB_PACKAGES can't be imported: Retry\(max=-1\)"):
        Catalogue.discover([write_package(a=text)])


def test_a_signature_that_cannot_be_served_is_refused_at_start_up(write_package: Write):
    with pytest.raises(UnservableFunction, match=r"a\.run: parameter 'text' has no type hint"):
        Catalogue.discover([write_package(a="@job\ndef run(text): ...")])


def test_a_type_that_breaks_while_its_schema_is_made_is_refused_with_its_function(write_package: Write):
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


def test_the_line_of_a_module_that_cannot_be_imported_is_named(write_package: Write):
    package = write_package(helper="def fail(): 1 / 0", faulty="from PACKAGE.helper import fail\n\nfail()")
    with pytest.raises(ConfigurationError, match=r"faulty of JOB_PACKAGES can't be imported \(line \d+\): ZeroDiv"):
        Catalogue.discover([package])


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


def test_a_similar_name_is_suggested_for_an_unknown_job_type(write_package: Write):
    catalogue = Catalogue.discover([write_package(a=PREDICT)])
    with pytest.raises(JobTypeNotFound, match="did you mean 'batch-predict'"):
        catalogue.find("batch-predct")
    with pytest.raises(JobTypeNotFound, match="GET /api/v1/job-types"):
        catalogue.find("x" * 10_000)


def documented(n: int = 3) -> list[int]:
    """Count."""
    return list(range(n))


def test_a_job_type_describes_itself_to_clients():
    job(timeout=9, stall_timeout=2.5, retry=Retry(max=3), max_running=2, result_ttl=60, preload=["json"])(documented)
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


def test_the_repr_of_a_job_type_is_the_same_in_every_process():
    job(documented)
    assert " at 0x" not in repr(JobType.of(documented))
