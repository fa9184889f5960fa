"""The pages of batches and pipelines."""

from __future__ import annotations

from flask import url_for
from werkzeug.wrappers import Response

from jobs.engine.client.groups import Group, Groups
from jobs.engine.errors import Conflict
from webapp.ownership import visible_group
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, is_partial, page, refused

#: A page shows this many jobs and counts the rest.
MAX_SHOWN = 200


@blueprint.get("/batches/<group_id>")
def batch(group_id: str) -> Response:
    return _page(visible_group("batch", group_id))


@blueprint.get("/pipelines/<group_id>")
def pipeline(group_id: str) -> Response:
    return _page(visible_group("pipeline", group_id))


@blueprint.post("/batches/<group_id>/cancel")
def cancel_batch(group_id: str) -> Response:
    return _cancel("batch", group_id)


@blueprint.post("/pipelines/<group_id>/cancel")
def cancel_pipeline(group_id: str) -> Response:
    return _cancel("pipeline", group_id)


def _page(group: Group) -> Response:
    admit()
    template = "_group.html" if is_partial() else "group.html"
    return page(template, group=group, members=group.members[:MAX_SHOWN])


def _cancel(kind: str, group_id: str) -> Response:
    visible_group(kind, group_id)
    admit()
    place = url_for(f"pages.{kind}", group_id=group_id)
    try:
        Groups(services().client).cancel(kind, group_id)
    except Conflict as error:
        return refused(error.message, place)
    return done(f"The unfinished jobs of this {kind} were cancelled; running jobs stop within 5 seconds.", place)
