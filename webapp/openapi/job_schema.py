"""The job resource in the document, with an example."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.engine.client.job import Job
from jobs.engine.states import Status

from .components import page_of, resource

EXAMPLE_JOB = Job(
    job_id="6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80",
    job_type="batch-predict",
    user_id="alice",
    status=Status.RUNNING,
    pending_reason=None,
    priority="default",
    needs=[],
    queue_position=None,
    tags=["nightly"],
    unique_key=None,
    limited_by=None,
    progress=40.0,
    progress_message="Predicting",
    progress_current=4,
    progress_total=10,
    eta_seconds=1.2,
    attempt=1,
    max_attempts=4,
    resumed=0,
    created_at=datetime(2030, 1, 31, 12, 0, 0, tzinfo=UTC),
    scheduled_at=None,
    start_by=None,
    started_at=datetime(2030, 1, 31, 12, 0, 1, tzinfo=UTC),
    completed_at=None,
    expires_at=None,
    params={"texts": ["It works."]},
    result=None,
    error=None,
    error_type=None,
    version=7,
    trace=None,
)
JOB_EXAMPLE = EXAMPLE_JOB.as_dict()

JOB = resource(Job, example=JOB_EXAMPLE)
JOB_PAGE = page_of("JobPage", "jobs", JOB)
