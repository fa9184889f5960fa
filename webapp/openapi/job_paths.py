"""Following jobs, and the list of what can be run."""

from __future__ import annotations

from typing import Any

from .operation import LOCATION, RETRY_AFTER, answer, header, in_path, operation, query, ref, sent_header
from .schemas import CURSOR, JOB_EXAMPLE, STATUS, TEXT, TIME, answered

JOB_ID = in_path("job_id", "As in the job resource.")
PAGE_CURSOR = query("cursor", TEXT, "`next_cursor` of the page before.")
ETAG = sent_header('The version, quoted: `"7"`.', TEXT)


def job_paths() -> dict[str, Any]:
    """The paths of jobs and job types."""
    return {
        "/job-types": {"get": _list_job_types()},
        "/job-types/{job_type}": {"get": _show_job_type()},
        "/jobs": {"get": _list_jobs()},
        "/jobs/{job_id}": {"get": _show_job(), "delete": _cancel_job()},
        "/jobs/{job_id}/retry": {"post": _retry_job()},
        "/jobs/{job_id}/logs": {"get": _show_logs()},
        "/jobs/{job_id}/events": {"get": _show_events()},
    }


def _list_job_types() -> dict[str, Any]:
    return operation("list-job-types", "Job types", "List the job types", {"200": answer("All.", ref("JobTypePage"))})


def _show_job_type() -> dict[str, Any]:
    return operation(
        "show-job-type",
        "Job types",
        "Show a job type",
        {"200": answer("Its schemas, defaults and limits.", ref("JobType"))},
        parameters=(in_path("job_type", "Its name, as in `batch-predict`."),),
        refused=(404,),
    )


def _list_jobs() -> dict[str, Any]:
    return operation(
        "list-jobs",
        "Jobs",
        "List jobs, newest first",
        {
            "200": answer(
                "One page. With a job type or a tag it may be short and still have a next one.", ref("JobPage")
            )
        },
        parameters=(
            query("status", STATUS, "Only these."),
            query("job_type", TEXT, "Only jobs of this type."),
            query("tag", TEXT, "Only jobs with this tag."),
            query("created_after", TIME, "Only younger jobs."),
            query("created_before", TIME, "Only older jobs."),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Jobs on one page."),
            PAGE_CURSOR,
            query("user_id", TEXT, "Whose jobs; for admins. By default the caller's."),
        ),
        refused=(403,),
    )


def _show_job() -> dict[str, Any]:
    wait = {"type": "integer", "minimum": 0, "maximum": 25}
    headers = {"ETag": ETAG, "Retry-After": RETRY_AFTER}
    return operation(
        "show-job",
        "Jobs",
        "Show a job, or wait for its change",
        {
            "200": answer("The job; `Retry-After` while it has not ended.", ref("Job"), headers=headers),
            "304": {"description": "Its version is still the one of `If-None-Match`.", "headers": headers},
        },
        description="With `wait=N` it answers as soon as the version passes the one of `If-None-Match` (without it: as "
        "soon as the job ends), else after N seconds.",
        parameters=(
            JOB_ID,
            query("wait", wait, "Seconds to wait at most."),
            header("If-None-Match", TEXT, "The `ETag` of an earlier answer."),
        ),
        refused=(403, 404),
    )


def _cancel_job() -> dict[str, Any]:
    return operation(
        "cancel-job",
        "Jobs",
        "Cancel a job",
        {
            "200": answer("It was pending, and is cancelled.", ref("Job")),
            "202": answer("It was running; its process is stopped within 5 s.", ref("Job")),
        },
        parameters=(JOB_ID,),
        refused=(403, 404, 409),
    )


def _retry_job() -> dict[str, Any]:
    headers = {"Location": LOCATION, "Retry-After": RETRY_AFTER}
    return operation(
        "retry-job",
        "Jobs",
        "Run a failed or cancelled job again, from its checkpoint",
        {"202": answer("It is pending again.", ref("Job"), headers=headers)},
        parameters=(JOB_ID,),
        refused=(400, 403, 404, 409, 413, 415),
    )


def _show_logs() -> dict[str, Any]:
    lines = {"type": "array", "items": ref("LogLine")}
    example = {"at": JOB_EXAMPLE["started_at"], "attempt": 1, "level": "info", "message": "Loading the model"}
    return operation(
        "show-logs",
        "Jobs",
        "Show what a job logged and printed",
        {
            "200": answer(
                "Oldest first. Logs are capped: the oldest lines are dropped first.",
                answered({"lines": lines, "next_cursor": CURSOR}),
                example={"lines": [example], "next_cursor": None},
            )
        },
        parameters=(
            JOB_ID,
            query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}, "Lines on one page."),
            PAGE_CURSOR,
        ),
        refused=(403, 404),
    )


def _show_events() -> dict[str, Any]:
    example = {"version": 1, "at": JOB_EXAMPLE["created_at"], "type": "job_queued"}
    return operation(
        "show-events",
        "Jobs",
        "Show a job's history",
        {
            "200": answer(
                "In order, all but superseded progress; the newest 200 entries are kept.",
                answered({"events": {"type": "array", "items": ref("Event")}}),
                example={"events": [example]},
            )
        },
        parameters=(JOB_ID,),
        refused=(403, 404),
    )
