"""The overview for administrators: queues, workers and trends."""

from __future__ import annotations

from typing import Any

from flask import Response as FlaskResponse
from flask import jsonify
from werkzeug.wrappers import Response

from jobs.engine.operate.trends import Trends
from jobs.engine.operate.workers import workers
from jobs.engine.states import Priority
from webapp.auth import require_admin
from webapp.rate_limit import admit
from webapp.services import services

from .blueprint import blueprint, is_partial, page

#: The order in which workers empty the queues.
_ORDER: dict[str, int] = {name: place for place, name in enumerate(Priority)}


@blueprint.get("/overview")
def overview() -> Response:
    require_admin()
    admit()
    figures = services().metrics.read()
    queues = sorted(figures.queues, key=lambda queue: _ORDER.get(queue.name, len(_ORDER)))
    values: dict[str, Any] = {"queues": queues, "figures": figures, "workers": workers(services().client.store)}
    if is_partial():
        return page("_overview.html", **values)
    return page("overview.html", **values, trend=Trends(services().client.store).read())


@blueprint.get("/overview/trends.json")
def trends() -> FlaskResponse:
    require_admin()
    admit()
    return jsonify(Trends(services().client.store).read().as_columns())
