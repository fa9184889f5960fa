"""The page of job types agrees with the functions, and its example calls are valid."""

from __future__ import annotations

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from webapp.catalogue_page import PACKAGES, PAGE, example_call, page, section

CATALOGUE = Catalogue.discover(PACKAGES)


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(CATALOGUE), "run: python -m webapp.catalogue_page"


def test_the_section_of_a_job_type_names_its_needs() -> None:
    needing = Catalogue.discover(["tests.jobs_for_tests"])["on-large-gpu"]
    assert "Needs a worker that can gpu, large." in section(needing)


@pytest.mark.parametrize("job_type", CATALOGUE.values(), ids=lambda job_type: job_type.name)
def test_every_job_type_has_parameters_a_result_and_a_valid_example_call(job_type: JobType) -> None:
    job_type.parameters.validate(example_call(job_type))
    shown = section(job_type)
    assert all(f"| `{name}` |" in shown for name in job_type.parameters.names)
    assert "**Result:**" in shown and f"curl -s $API/jobs/{job_type.name} " in shown
