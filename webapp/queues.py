"""Show the queues to administrators."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from jobs.engine.operate.queues import Queue, all_queues

from .auth import require_admin
from .openapi.components import resource
from .openapi.describing import described
from .openapi.operation import returns
from .openapi.schemas import returned
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("queues", __name__, url_prefix="/api/v1/queues")

QUEUE = resource(
    Queue,
    example={"name": "default", "depth": 120, "oldest_wait_seconds": 4.2, "running": 8, "paused": None},
)
_QUEUES = returned({"queues": {"type": "array", "items": QUEUE}})


@blueprint.get("")
@described(
    "list-queues",
    "Operations",
    "List the queues",
    {"200": returns("In the order in which workers empty them.", _QUEUES)},
    description="For administrators.",
    refused=(403,),
)
def page() -> Response:
    require_admin()
    query(Nothing)
    admit()
    return jsonify(queues=[queue.as_dict() for queue in all_queues(services().metrics.read().queues)])
