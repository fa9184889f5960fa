"""The catalogue finds job types by name, and refuses two of the same name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.errors import JobTypeNotFound, UnservableFunction

Write = Callable[..., str]


PREDICT = '''
@job(priority="high", timeout=60)
def batch_predict(texts: list[str]) -> int:
    """Predict the label of each text.

    In batches of ten.
    """
    return len(texts)
'''


def test_two_functions_with_the_same_job_name_are_refused(write_package: Write):
    package = write_package(a="@job\ndef run() -> None: ...", b="@job(name='run')\ndef go() -> None: ...")
    with pytest.raises(UnservableFunction, match=rf"{package}\.a\.run and {package}\.b\.go"):
        Catalogue.discover([package])


def test_a_name_that_is_an_address_of_the_api_is_refused(write_package: Write):
    package = write_package(a="@job\ndef bulk() -> None: ...")
    with pytest.raises(UnservableFunction, match=rf"{package}\.a\.bulk has the job name 'bulk'"):
        Catalogue.discover([package])


def test_a_similar_name_is_suggested_for_an_unknown_job_type(write_package: Write):
    catalogue = Catalogue.discover([write_package(a=PREDICT)])
    with pytest.raises(JobTypeNotFound, match="did you mean 'batch-predict'"):
        catalogue.find("batch-predct")
    with pytest.raises(JobTypeNotFound, match="GET /api/v1/job-types"):
        catalogue.find("x" * 10_000)
