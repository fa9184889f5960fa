"""Many jobs at once: batches, pipelines and schedules."""

from __future__ import annotations

from typing import Any

from webapp.batches import entry_schema

from .operation import LOCATION, RETRY_AFTER, answer, in_path, json_body, operation, ref, sent_header
from .schemas import COUNT, STATUS, TEXT, TIME, Schema, answered, listed, nullable, taken
from .submit_paths import IDEMPOTENCY_KEY, REPLAYED

SUBMITTED = {"Location": LOCATION, "Retry-After": RETRY_AFTER, "Idempotency-Replayed": REPLAYED}
LATER = {"Retry-After": sent_header("While it has not ended.", {"type": "integer", "minimum": 1})}
REFUSED = (400, 403, 413, 415)

PARAMS: Schema = {"type": "object", "description": "The job type's parameters.", "default": {}}
PROGRESS: Schema = {"type": "number", "minimum": 0, "maximum": 100}
IDS: Schema = {"type": "array", "items": TEXT, "description": "In the order in which they were submitted."}

NEW_BATCH = taken(
    {
        "jobs": {"type": "array", "items": entry_schema(), "minItems": 1, "maxItems": 1_000},
        "webhook_url": nullable(TEXT),
    },
    optional=("webhook_url",),
)
NEW_BATCH_EXAMPLE = {
    "jobs": [
        {"job_type": "batch-predict", "params": {"texts": ["It works."]}, "priority": "high"},
        {"job_type": "batch-predict", "params": {"texts": ["It is slow."]}, "tag": ["nightly"]},
    ]
}
JOB_IDS = ["6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80", "0b9d3f1e2c4a4f6d9e8b7a6c5d4e3f21"]
BATCH_EXAMPLE = {
    "batch_id": "a3f07c52d1e84b6f9c0d1e2f3a4b5c6d",
    "status": "running",
    "progress": 70.0,
    "counts": {"pending": 0, "running": 1, "completed": 1, "failed": 0, "cancelled": 0},
    "job_ids": JOB_IDS,
}
BATCH = answered(
    {
        "batch_id": TEXT,
        "status": STATUS | {"description": "running until the last job ends; then the worst of their ends."},
        "progress": PROGRESS | {"description": "The mean of its jobs'; one that has ended counts as 100."},
        "counts": answered(dict.fromkeys(STATUS["enum"], COUNT)),
        "job_ids": IDS,
    },
    description="Jobs that were submitted together.",
    examples=[BATCH_EXAMPLE],
)

NEW_PIPELINE = taken(
    {
        "steps": {
            "type": "array",
            "items": taken({"job_type": TEXT, "params": PARAMS}, optional=("params",)),
            "minItems": 1,
            "maxItems": 100,
        }
    }
)
# Without a reference: tools that read this document would take it for one of their own.
NEW_PIPELINE_EXAMPLE = {
    "steps": [
        {"job_type": "train-model", "params": {"training_data": {"texts": ["good", "bad"], "labels": ["+", "-"]}}},
        {
            "job_type": "batch-predict",
            "params": {"texts": ["It works."], "model_id": "default"},
        },
    ]
}
STEP = answered(
    {
        "step": COUNT,
        "job_type": nullable(TEXT),
        "job_id": TEXT,
        "status": STATUS,
        "progress": PROGRESS,
        "error": nullable(TEXT),
        "error_type": nullable(TEXT),
    }
)
PIPELINE_EXAMPLE = {
    "pipeline_id": "c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7",
    "status": "running",
    "progress": 50.0,
    "job_ids": JOB_IDS,
    "steps": [
        {
            "step": place,
            "job_type": name,
            "job_id": job_id,
            "status": status,
            "progress": progress,
            "error": None,
            "error_type": None,
        }
        for place, (name, job_id, status, progress) in enumerate(
            [("train-model", JOB_IDS[0], "completed", 100.0), ("batch-predict", JOB_IDS[1], "running", 0.0)]
        )
    ],
}
PIPELINE = answered(
    {
        "pipeline_id": TEXT,
        "status": STATUS,
        "progress": PROGRESS,
        "job_ids": IDS,
        "steps": {"type": "array", "items": STEP},
    },
    description="Jobs that run one after the other; one that fails or is cancelled cancels the rest.",
    examples=[PIPELINE_EXAMPLE],
)

PLAN = {
    "job_type": TEXT,
    "params": PARAMS,
    "cron": TEXT | {"description": "Minute, hour, day of month, month, day of week; or @hourly, @daily …"},
    "timezone": TEXT | {"description": "An IANA name.", "default": "UTC"},
}
PLAN_EXAMPLE = {"job_type": "clean-up", "params": {}, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
SCHEDULE = answered(
    {
        "schedule_id": TEXT,
        **PLAN,
        "created_at": TIME,
        "next_run_at": nullable(TIME),
        "last_run_at": nullable(TIME),
        "last_job_id": nullable(TEXT),
        "problem": nullable(TEXT) | {"description": "Why the last tick was passed over."},
    },
    description="A job type that is run on a cron line: one job a tick, and one for all ticks that were missed. When "
    "clocks are put back, a line with fixed hours runs once.",
    examples=[
        {
            "schedule_id": "d4c3b2a1f0e9d8c7b6a5f4e3d2c1b0a9",
            **PLAN_EXAMPLE,
            "created_at": "2030-01-31T12:00:00.000000Z",
            "next_run_at": "2030-02-01T01:30:00.000000Z",
            "last_run_at": None,
            "last_job_id": None,
            "problem": None,
        }
    ],
)

GROUP_SCHEMAS: dict[str, Schema] = {
    "Batch": BATCH,
    "Pipeline": PIPELINE,
    "Schedule": SCHEDULE,
    "SchedulePage": listed("schedules", "Schedule"),
}

BATCH_ID = in_path("batch_id", "As in the answer to its submission.")
PIPELINE_ID = in_path("pipeline_id", "As in the answer to its submission.")
SCHEDULE_ID = in_path("schedule_id", "As in the list.")


def group_paths() -> dict[str, Any]:
    """The paths of batches, pipelines and schedules."""
    return {
        "/batches": {"post": _submit_batch()},
        "/batches/{batch_id}": {
            "get": _show("batch", "Batch", BATCH_ID),
            "delete": _cancel("batch", "Batch", BATCH_ID),
        },
        "/pipelines": {"post": _submit_pipeline()},
        "/pipelines/{pipeline_id}": {
            "get": _show("pipeline", "Pipeline", PIPELINE_ID),
            "delete": _cancel("pipeline", "Pipeline", PIPELINE_ID),
        },
        "/schedules": {"get": _list_schedules(), "post": _create_schedule()},
        "/schedules/{schedule_id}": {"get": _show_schedule(), "delete": _delete_schedule()},
    }


def _submit_batch() -> dict[str, Any]:
    return operation(
        "submit-batch",
        "Many at once",
        "Submit many jobs",
        {"202": answer("All of them are stored.", ref("Batch"), headers=SUBMITTED)},
        description="At most 1,000 jobs, all stored or none. Entries take the names of the query options of a single "
        "job. Pointers of a refusal say which entry: `/jobs/3/params/texts/0`.",
        parameters=(IDEMPOTENCY_KEY,),
        body=json_body(NEW_BATCH, example=NEW_BATCH_EXAMPLE),
        refused=REFUSED,
    )


def _submit_pipeline() -> dict[str, Any]:
    return operation(
        "submit-pipeline",
        "Many at once",
        "Submit jobs that work on each other's results",
        {"202": answer("All steps are stored.", ref("Pipeline"), headers=SUBMITTED)},
        description='`{"$ref": "#/steps/0/result/model_id"}` anywhere in `params` stands for a part of an earlier '
        "step's result. Whether it fits is checked when its step starts.",
        parameters=(IDEMPOTENCY_KEY,),
        body=json_body(NEW_PIPELINE, example=NEW_PIPELINE_EXAMPLE),
        refused=REFUSED,
    )


def _show(kind: str, schema: str, parameter: dict[str, Any]) -> dict[str, Any]:
    return operation(
        f"show-{kind}",
        "Many at once",
        f"Show a {kind}",
        {"200": answer(f"The {kind}; `Retry-After` while it has not ended.", ref(schema), headers=LATER)},
        parameters=(parameter,),
        refused=(403, 404),
    )


def _cancel(kind: str, schema: str, parameter: dict[str, Any]) -> dict[str, Any]:
    return operation(
        f"cancel-{kind}",
        "Many at once",
        f"Cancel what has not ended of a {kind}",
        {
            "200": answer("All of it has ended.", ref(schema)),
            "202": answer("Something was running; it is stopped within 5 s.", ref(schema), headers=LATER),
        },
        parameters=(parameter,),
        refused=(400, 403, 404, 409, 413, 415),
    )


def _create_schedule() -> dict[str, Any]:
    return operation(
        "create-schedule",
        "Many at once",
        "Run a job type on a cron line",
        {"201": answer("The schedule.", ref("Schedule"), headers={"Location": LOCATION})},
        body=json_body(taken(PLAN, optional=("params", "timezone")), example=PLAN_EXAMPLE),
        refused=(*REFUSED, 409),
    )


def _list_schedules() -> dict[str, Any]:
    return operation(
        "list-schedules",
        "Many at once",
        "List my schedules",
        {"200": answer("All, oldest first.", ref("SchedulePage"))},
    )


def _show_schedule() -> dict[str, Any]:
    return operation(
        "show-schedule",
        "Many at once",
        "Show a schedule",
        {"200": answer("The schedule.", ref("Schedule"))},
        parameters=(SCHEDULE_ID,),
        refused=(403, 404),
    )


def _delete_schedule() -> dict[str, Any]:
    return operation(
        "delete-schedule",
        "Many at once",
        "Delete a schedule",
        {"204": {"description": "It is gone; jobs that it has started go on."}},
        parameters=(SCHEDULE_ID,),
        refused=(400, 403, 404, 413, 415),
    )
