"""The caller's jobs, with filters, and what can be done with many of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.client.job import Job
from jobs.engine.client.listing import Page
from jobs.engine.errors import Conflict, Forbidden, NotFound, TooManyActiveJobs
from jobs.engine.states import Status
from webapp.auth import caller
from webapp.ownership import visible_job, visible_user_jobs
from webapp.services import services

from .blueprint import blueprint, done, is_partial, page, refused

PAGE_JOBS = 50
#: As many as a page shows; more would hold the request for long.
MAX_AT_ONCE = 200

FILTERS = ("status", "job_type", "tag", "created_after", "created_before", "user_id")


@dataclass(frozen=True)
class Filters:
    """What was asked for, as it was written; what makes no sense is passed over."""

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
        """For the client."""
        status = self.texts.get("status")
        return {
            "status": Status(status) if status in tuple(Status) else None,
            "job_type": self.texts.get("job_type"),
            "tag": self.texts.get("tag"),
            "created_after": _moment(self.texts.get("created_after")),
            "created_before": _moment(self.texts.get("created_before")),
        }

    def address(self, **more: str) -> str:
        words = urlencode(self.texts | more)
        return url_for("pages.jobs") + (f"?{words}" if words else "")


@blueprint.get("/jobs")
def jobs() -> Response:
    filters = Filters.sent()
    visible_user_jobs(filters.user_id)
    cursor = request.args.get("cursor") or None
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
    """Cancel or retry those that are chosen. What can't be is passed over, and counted."""
    filters, chosen = Filters.sent(), request.form.getlist("job_id")[:MAX_AT_ONCE]
    verbs: dict[str, tuple[Callable[[str], Job], str]] = {
        "cancel": (services().client.cancel, "cancelled, or being stopped"),
        "retry": (services().client.retry, "running again"),
    }
    change, words = verbs.get(request.form.get("do", ""), (None, ""))
    if change is None or not chosen:
        return refused("Choose at least one job, and then what to do with it.", filters.address())
    changed, limit = _change(chosen, change)
    left = len(chosen) - changed
    reason = limit.rstrip(".") or f"{'it has' if left == 1 else 'they have'} ended, or not yet"
    more = f"; {left} could not be: {reason}" if left else ""
    say, are = (done if changed else refused), "job is" if changed == 1 else "jobs are"
    return say(f"{changed} of {len(chosen)} {are} {words}{more}.", filters.address())


def _change(job_ids: list[str], change: Callable[[str], Job]) -> tuple[int, str]:
    """Change these jobs. Return how many were changed, and the message of a limit that has stopped it."""
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
    """Of what the list shows: while it stays, there is nothing to send."""
    shown = [(job.job_id, job.version) for job in found.jobs]
    return sha256(repr((shown, found.next_cursor)).encode()).hexdigest()[:16]


def _moment(text: str | None) -> datetime | None:
    """A time as browsers write it, which is in UTC here."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
