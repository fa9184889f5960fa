"""The page of a job: its status, history, log, parameters and result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.groups import Groups
from jobs.engine.client.job import Job
from jobs.engine.errors import Conflict, TooManyActiveJobs
from jobs.engine.states import Status
from jobs.engine.times import read_time
from webapp.auth import caller
from webapp.ownership import visible_job
from webapp.rate_limit import admit
from webapp.services import services

from .blocks import Block, block
from .blueprint import blueprint, done, page, refused
from .calls import as_curl, as_python
from .formats import json_text
from .timeline import Moment, timeline

#: The page starts with this many lines of the log.
LOG_LINES = 1_000
#: A longer result is not shown as JSON.
MAX_JSON_CHARACTERS = 100_000


@dataclass(frozen=True)
class View:
    """A job with the parts of its page that change with its status."""

    job: Job
    moments: list[Moment]
    result: Block

    @property
    def can_cancel(self) -> bool:
        return not self.job.status.terminal

    @property
    def can_retry(self) -> bool:
        return self.job.status in (Status.FAILED, Status.CANCELLED)

    @property
    def free_at(self) -> datetime | None:
        """Return about when the limit that the job waits for is free again, if that is known."""
        at = self.job.limited_by["free_at"] if self.job.limited_by else None
        return read_time(at) if at else None

    @property
    def result_json(self) -> str | None:
        """Return the result as JSON; None if it is too long for a page."""
        text = json_text(self.job.result)
        return text if len(text) <= MAX_JSON_CHARACTERS else None

    @property
    def rate(self) -> float | None:
        """Return the items per second that the estimated time left implies."""
        job = self.job
        if not job.eta_seconds or job.progress_total is None or job.progress_current is None:
            return None
        return (job.progress_total - job.progress_current) / job.eta_seconds or None


def view_of(job: Job) -> View:
    return View(job, timeline(services().client.events(job.job_id)), block(job.result))


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> Response:
    found = visible_job(job_id)
    admit()
    return page(
        "job.html",
        view=view_of(found),
        job=found,
        trace=found.trace if caller().is_admin else None,
        lines=services().client.logs(job_id, limit=LOG_LINES).lines,
        params=block(found.params),
        known=found.job_type in services().catalogue,
        curl=as_curl(found.job_type, found.params),
        python=as_python(found.job_type, found.params),
        group=Groups(services().client).of_job(job_id),
    )


@blueprint.get("/jobs/<job_id>/changed")
def changed(job_id: str) -> Response:
    """Reload the page of an ended job if the job has been retried elsewhere."""
    job = visible_job(job_id)
    admit()
    answer = Response(status=204)
    if request.args.get("version") != str(job.version):
        answer.headers["HX-Refresh"] = "true"
    return answer


@blueprint.post("/jobs/<job_id>/cancel")
def cancel_job(job_id: str) -> Response:
    visible_job(job_id)
    admit()
    place = url_for("pages.job", job_id=job_id)
    try:
        cancelled = services().client.cancel(job_id)
    except Conflict as error:
        return refused(error.message, place)
    gone = cancelled.status is Status.CANCELLED
    return done("The job was cancelled." if gone else "The job will stop within 5 seconds.", place)


@blueprint.post("/jobs/<job_id>/retry")
def retry_job(job_id: str) -> Response:
    visible_job(job_id)
    admit()
    place = url_for("pages.job", job_id=job_id)
    try:
        services().client.retry(job_id)
    except (Conflict, TooManyActiveJobs) as error:
        return refused(error.message, place)
    return done("The job was queued again.", place)
