"""The start page: the job types with a search, and the caller's latest jobs."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from jobs.engine.catalogue.job_type import JobType
from webapp.auth import caller
from webapp.queues import control
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, is_partial, page

LATEST_JOBS = 5


@blueprint.get("/")
def home() -> Response:
    admit()
    wanted = request.args.get("q", "")[:100].strip()
    found = [kind for kind in services().catalogue.values() if _matches(kind, wanted.lower().split())]
    if is_partial():
        return page("_job_types.html", job_types=found, wanted=wanted, pauses=control().pauses())
    latest = services().client.page(caller().user_id, limit=LATEST_JOBS).jobs
    return page("home.html", job_types=found, wanted=wanted, pauses=control().pauses(), jobs=latest)


def _matches(kind: JobType, words: list[str]) -> bool:
    text = f"{kind.name} {kind.name.replace('-', ' ')} {kind.summary} {kind.description}".lower()
    return all(word in text for word in words)
