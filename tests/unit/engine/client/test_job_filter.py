"""The conditions of a bulk action."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.engine.client.job_filter import JobFilter, micros

BEGAN = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"status": None},
        {"status": "done"},
        {"status": ["failed"]},
        {"statuses": "failed"},
        {"job_type": ""},
        {"tag": 5},
        {"error": "x" * 257},
        {"error": " \t "},
        {"created_after": 1_900_000_000},
        {"created_after": "1900000000"},
        {"created_after": "2030-01-31"},
        {"created_after": "2030-01-31T12:00:00"},
        {"created_before": "2030-13-31T12:00:00Z"},
        {"user_id": True},
    ],
    ids=str,
)
def test_a_filter_that_is_empty_or_malformed_is_refused(conditions: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobFilter.model_validate(conditions)


def test_only_the_indexes_that_can_hold_a_match_are_read() -> None:
    assert JobFilter(status="failed", job_type="x").for_script()["statuses"] == ["failed"]
    assert JobFilter(error="dry").for_script()["statuses"] == ["failed", "cancelled"]
    assert len(JobFilter(tag="a").for_script()["statuses"]) == 5


def test_conditions_that_are_not_set_are_left_out() -> None:
    assert JobFilter(tag="a").for_script().keys() == {"statuses", "tag"}
    assert JobFilter(error=" the  well ").for_script()["words"] == ["the", "well"]


def test_no_job_that_was_submitted_after_the_bulk_action_is_read() -> None:
    later = JobFilter(created_before="2040-01-31T12:00:00Z")
    earlier = JobFilter(created_before="2030-01-31T11:59:59.999999Z")
    assert JobFilter(tag="a").highest(BEGAN) == later.highest(BEGAN) == str(micros(BEGAN))
    assert earlier.highest(BEGAN) == f"({micros(BEGAN) - 1}"


def test_the_conditions_are_shown_as_they_were_sent() -> None:
    chosen = JobFilter(user_id="*", status="failed", created_after="2030-01-31T12:00:00Z")
    assert chosen.conditions() == {
        "user_id": "*",
        "status": "failed",
        "created_after": "2030-01-31T12:00:00+00:00",
    }
