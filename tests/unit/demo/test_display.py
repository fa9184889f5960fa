"""What the demo prints about a job."""

from __future__ import annotations

from typing import Any

import pytest

from demo.display import show, summary


def job(**fields: Any) -> dict[str, Any]:
    return {
        "job_type": "noop",
        "status": "completed",
        "progress": 100.0,
        "progress_message": None,
        "result": None,
        "error": None,
        "error_type": None,
    } | fields


def test_progress_is_a_bar_with_the_last_message(capsys: pytest.CaptureFixture[str]) -> None:
    show(job(status="running", progress=50.0, progress_message="Halfway"))
    assert "[###############...............]  50 %  Halfway\n" in capsys.readouterr().out


def test_a_failure_is_summed_up_with_its_error() -> None:
    failed = job(status="failed", error="The file is empty.", error_type="ValueError")
    assert summary(failed) == "failed: The file is empty. (ValueError)"


@pytest.mark.parametrize(
    ("job_type", "result", "expected"),
    [
        ("train-model", {"model_id": "m1", "accuracy": 0.93}, "model m1, right about 93% of unseen texts"),
        ("extract-vocabulary", {"new_words": 0, "words": []}, "no new words"),
        (
            "generate-report",
            {"filename": "a.pdf", "rows": 3, "file_id": "f"},
            "a.pdf with 3 rows: GET /api/v1/files/f/content",
        ),
        ("something-else", {"a": 1}, '{"a": 1}'),
    ],
)
def test_a_result_is_summed_up_in_a_line(job_type: str, result: Any, expected: str) -> None:
    assert summary(job(job_type=job_type, result=result)) == expected
