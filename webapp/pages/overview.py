"""The overview for administrators: queues, workers and trends; and draining a worker."""

from __future__ import annotations

from typing import Any

from flask import Response as FlaskResponse
from flask import jsonify, url_for
from werkzeug.wrappers import Response

from jobs.engine.errors import NotFound
from jobs.engine.operate.queues import in_order
from jobs.engine.operate.trends import Trends
from jobs.engine.operate.workers import drain, workers
from webapp.auth import require_admin
from webapp.queues import control
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, done, is_partial, page, refused


@blueprint.get("/overview")
def overview() -> Response:
    require_admin()
    admit()
    figures = services().metrics.read()
    queues = in_order(figures.queues)
    values: dict[str, Any] = {
        "queues": queues,
        "pauses": control().pauses(),
        "figures": figures,
        "workers": workers(services().client.store),
    }
    if is_partial():
        return page("_overview.html", **values)
    return page("overview.html", **values, trend=Trends(services().client.store).read())


@blueprint.get("/overview/trends.json")
def trends() -> FlaskResponse:
    require_admin()
    admit()
    return jsonify(Trends(services().client.store).read().as_columns())


@blueprint.post("/overview/workers/<worker_name>/drain")
def drain_worker(worker_name: str) -> Response:
    return _drain(worker_name, draining=True, sentence="The worker finishes its job, takes no other, and ends.")


@blueprint.post("/overview/workers/<worker_name>/undo-drain")
def undo_drain(worker_name: str) -> Response:
    return _drain(worker_name, draining=False, sentence="The worker takes jobs again.")


def _drain(name: str, *, draining: bool, sentence: str) -> Response:
    require_admin()
    admit()
    place = url_for("pages.overview")
    try:
        drain(services().client.store, name, draining=draining)
    except NotFound as error:
        return refused(error.message, place)
    return done(sentence, place)
