"""The list of jobs, with filters, and cancelling or retrying several at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.job import Job
from jobs.engine.client.listing import Page, read_job_cursor
from jobs.engine.errors import Conflict, Forbidden, NotFound, TooManyActiveJobs
from jobs.engine.states import Status
from webapp.auth import caller
from webapp.ownership import visible_job, visible_user_jobs
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, is_partial, page, refused
from .entered_times import entered_time

PAGE_JOBS = 50
#: More jobs would hold the request for too long.
MAX_AT_ONCE = 200

FILTERS = ("status", "job_type", "tag", "created_after", "created_before", "user_id")


@dataclass(frozen=True)
class Filters:
    """The filters as they were entered. Invalid ones are ignored."""

    texts: dict[str, str]

    @classmethod
    def sent(cls) -> Filters:
        given = {name: request.values.get(name, "").strip()[:256] for name in FILTERS}
        return cls({name: text for name, text in given.items() if text})

    @property
    def user_id(self) -> str:
        return self.texts.get("user_id", caller().user_id)

    @property
    def chosen(self) -> dict[str, Any]:
        """Return the arguments for the client."""
        status = self.texts.get("status")
        return {
            "status": Status(status) if status in tuple(Status) else None,
            "job_type": self.texts.get("job_type"),
            "tag": self.texts.get("tag"),
            "created_after": entered_time(self.texts.get("created_after")),
            "created_before": entered_time(self.texts.get("created_before")),
        }

    def bulk_address(self, action: str) -> str:
        return url_for("pages.bulk") + "?" + urlencode({**self.texts, "do": action})

    def address(self, **more: str) -> str:
        words = urlencode(self.texts | more)
        return url_for("pages.jobs") + (f"?{words}" if words else "")


@blueprint.get("/jobs")
def jobs() -> Response:
    filters = Filters.sent()
    visible_user_jobs(filters.user_id)
    cursor = request.args.get("cursor") or None
    admit(lambda: cursor and read_job_cursor(cursor))
    found = services().client.page(filters.user_id, **filters.chosen, limit=PAGE_JOBS, cursor=cursor)
    seen = _fingerprint(found)
    if is_partial() and request.args.get("seen") == seen:
        return Response(status=204)
    values: dict[str, Any] = {"filters": filters, "found": found, "cursor": cursor, "seen": seen}
    if is_partial():
        return page("_jobs.html", **values)
    kinds = list(services().catalogue)
    return page("jobs.html", **values, statuses=list(Status), job_types=kinds, counts=_counts(filters))


@blueprint.post("/jobs")
def change_jobs() -> Response:
    """Cancel or retry the selected jobs; skip and count those for which that is not possible."""
    filters, chosen = Filters.sent(), request.form.getlist("job_id")[:MAX_AT_ONCE]
    verbs: dict[str, tuple[Callable[[str], Job], str]] = {
        "cancel": (services().client.cancel, "cancelled or stopping"),
        "retry": (services().client.retry, "queued again"),
    }
    change, words = verbs.get(request.form.get("do", ""), (None, ""))
    if change is None or not chosen:
        return refused("Select at least one job.", filters.address())
    admit()
    changed, limit = _change(chosen, change)
    left = len(chosen) - changed
    reason = limit or "Their status does not allow it."
    skipped = f" {left} skipped: {reason}" if left else ""
    show = done if changed else refused
    return show(f"{changed} of {len(chosen)} selected jobs {words}.{skipped}", filters.address())


def _change(job_ids: list[str], change: Callable[[str], Job]) -> tuple[int, str]:
    """Change jobs. Return the number of changed jobs, and the message of the limit that stopped it, if any."""
    changed = 0
    for job_id in job_ids:
        try:
            visible_job(job_id)
            change(job_id)
        except TooManyActiveJobs as error:
            return changed, error.message
        except (Conflict, NotFound, Forbidden):
            continue
        changed += 1
    return changed, ""


def _counts(filters: Filters) -> dict[str, int]:
    return {str(status): count for status, count in services().client.counts(filters.user_id).items()}


def _fingerprint(found: Page) -> str:
    """Return a digest of what the list shows; while it is the same, nothing is sent."""
    shown = [(job.job_id, job.version) for job in found.jobs]
    return sha256(repr((shown, found.next_cursor)).encode()).hexdigest()[:16]
