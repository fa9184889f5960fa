"""The fields of the job resource, as the command line and the docs list them."""

from __future__ import annotations

from webapp.openapi.job_schema import EXAMPLE_JOB
from webapp.resource_table import job_fields


def test_every_field_of_the_resource_is_listed_in_its_order() -> None:
    assert [field.name for field in job_fields()] == list(EXAMPLE_JOB.as_dict())


def test_every_field_has_a_description() -> None:
    assert all(field.description.endswith(".") for field in job_fields())


def test_a_field_is_shown_with_its_type_in_words() -> None:
    types = {field.name: field.type for field in job_fields()}
    assert types["attempt"] == "whole number"
    assert types["created_at"] == "time or null"


def test_a_field_without_a_label_is_labelled_with_its_name() -> None:
    labels = {field.name: field.label for field in job_fields()}
    assert labels["completed_at"] == "ended"
    assert labels["priority"] == "priority"


def test_a_field_within_the_line_of_another_has_no_label() -> None:
    labels = {field.name: field.label for field in job_fields()}
    assert labels["pending_reason"] == labels["poll_url"] == ""
