"""Job functions are found in the modules of packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.errors import ConfigurationError
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


def test_the_line_of_a_module_that_cannot_be_imported_is_named(write_package: Write):
    package = write_package(helper="def fail(): 1 / 0", faulty="from PACKAGE.helper import fail\n\nfail()")
    with pytest.raises(ConfigurationError, match=r"faulty of JOB_PACKAGES can't be imported \(line \d+\): ZeroDiv"):
        Catalogue.discover([package])
