"""Show the queues to administrators, and pause and resume them."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify

from jobs.engine.client.pauses import Pause
from jobs.engine.operate.control import Control
from jobs.engine.operate.queues import Queue, all_queues, one_queue

from .auth import require_admin
from .openapi.components import resource
from .openapi.describing import described
from .openapi.operation import json_body, returns
from .openapi.schemas import returned
from .pauses import PAUSE_EXAMPLE, NewPause, pause_as_sent, pause_in_body, resume_as_sent
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("queues", __name__, url_prefix="/api/v1/queues")

QUEUE = resource(
    Queue,
    example={"name": "default", "depth": 120, "oldest_wait_seconds": 4.2, "running": 8, "paused": None},
)
_REFUSED = (400, 403, 404, 413, 415)
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
    return jsonify(queues=[queue.as_dict() for queue in current_queues()])


@blueprint.put("/<queue_name>/pause")
@described(
    "pause-queue",
    "Operations",
    "Pause a queue",
    {"200": returns("The queue. No worker takes a job from it any more.", QUEUE)},
    description="For administrators. Jobs that run continue; submissions are still stored. The pause of `high`, "
    "`default` or `low` includes its queues with needs. A pause replaces an earlier one, unless both have the same "
    "reason and end.",
    body=json_body(NewPause, example=PAUSE_EXAMPLE, required=False),
    refused=_REFUSED,
)
def pause(queue_name: str) -> Response:
    require_admin()
    control().check_queue(queue_name)
    paused = pause_as_sent(pause_in_body(), control().check_until, partial(control().pause_queue, queue_name))
    return jsonify(queue_fields(queue_name, paused))


@blueprint.delete("/<queue_name>/pause")
@described(
    "resume-queue",
    "Operations",
    "Resume a queue",
    {"200": returns("The queue.", QUEUE)},
    description="For administrators. A queue that is not paused does not change. A queue with needs stays paused while "
    "its priority is.",
    refused=_REFUSED,
)
def resume(queue_name: str) -> Response:
    require_admin()
    control().check_queue(queue_name)
    resume_as_sent(partial(control().resume_queue, queue_name))
    return jsonify(queue_fields(queue_name, control().pauses().of_queue(queue_name)))


def current_queues() -> list[Queue]:
    """Read the queues and their pauses."""
    return all_queues(services().metrics.read().queues, control().pauses())


def control() -> Control:
    return Control(services().client.store)


def queue_fields(name: str, paused: Pause | None) -> dict[str, Any]:
    """Return a queue as the API shows it."""
    return one_queue(name, services().metrics.read().queues, paused).as_dict()
