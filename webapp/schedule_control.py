"""Pause and resume schedules, run one now, and show the last ticks."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, jsonify

from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules

from . import body
from .openapi.describing import described
from .openapi.operation import LOCATION, RETRY_AFTER, json_body, returns
from .ownership import visible_schedule
from .pauses import PAUSE_EXAMPLE, NewPause, pause_as_sent, pause_in_body, resume_as_sent
from .query import Nothing, query
from .rate_limit import admit
from .schedule_resource import RUN_EXAMPLE, RUNS, SCHEDULE, run_fields, schedule_fields
from .services import services
from .submissions import accepted, deduplicated, with_deduplicated

blueprint = Blueprint("schedule_control", __name__, url_prefix="/api/v1/schedules/<schedule_id>")

_JOB = {"$ref": "#/components/schemas/Job"}


@blueprint.put("/pause")
@described(
    "pause-schedule",
    "Many at once",
    "Pause a schedule",
    {"200": returns("The schedule.", SCHEDULE)},
    description="No tick starts a job until the schedule is resumed, or until `until`. Ticks during the pause are not "
    "caught up. A tick that waits for an earlier job is skipped. Jobs that were started continue. A pause replaces an "
    "earlier one, unless both have the same reason and end.",
    body=json_body(NewPause, example=PAUSE_EXAMPLE, required=False),
    refused=(400, 403, 404, 409, 413, 415),
)
def pause(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    paused = pause_as_sent(pause_in_body(), _changes().check_pause, partial(_changes().pause, schedule_id))
    return jsonify(schedule_fields(paused))


@blueprint.delete("/pause")
@described(
    "resume-schedule",
    "Many at once",
    "Resume a schedule",
    {"200": returns("The schedule.", SCHEDULE)},
    description="The next tick is after now. A schedule that is not paused does not change.",
    refused=(400, 403, 404, 409, 413, 415),
)
def resume(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    return jsonify(schedule_fields(resume_as_sent(partial(_changes().resume, schedule_id))))


@blueprint.post("/run")
@described(
    "run-schedule",
    "Many at once",
    "Run a schedule now",
    {
        "202": returns("The job is stored.", _JOB, headers={"Location": LOCATION, "Retry-After": RETRY_AFTER}),
        "200": returns(
            "The owner's job with the same unique key, which existed.",
            with_deduplicated(_JOB),
            headers={"Location": LOCATION},
        ),
    },
    description="One job of the schedule's owner, even while the schedule is paused or an earlier job has not ended. "
    "The next tick stays as it is.",
    refused=(400, 403, 404, 409, 413, 415),
)
def run(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    body.no_body()
    query(Nothing)
    admit(partial(_changes().check_run, schedule_id))
    submitted = _changes().run_now(schedule_id)
    return (deduplicated if submitted.deduplicated else accepted)(submitted.job)


@blueprint.get("/runs")
@described(
    "list-schedule-runs",
    "Many at once",
    "List the last ticks of a schedule",
    {"200": returns("The last 20 ticks, newest first.", RUNS, example={"runs": [RUN_EXAMPLE]})},
    refused=(403, 404),
)
def runs(schedule_id: str) -> Response:
    visible_schedule(schedule_id)
    query(Nothing)
    admit()
    return jsonify(runs=[run_fields(each) for each in Schedules(services().client).runs(schedule_id)])


def _changes() -> ScheduleChanges:
    return ScheduleChanges(services().client)
