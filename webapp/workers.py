"""Show the workers to administrators, and drain them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify
from pydantic import Field

from jobs.engine.operate.workers import WorkerRecord, drain, find, workers
from jobs.engine.public_fields import public_fields

from .auth import require_admin
from .body import no_body
from .openapi.components import resource
from .openapi.describing import described
from .openapi.operation import returns
from .openapi.schemas import returned
from .query import Nothing, query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("workers", __name__, url_prefix="/api/v1/workers")


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A process that runs one job at a time."""

    name: str
    host: str
    state: Annotated[str, Field(description="`idle`, `busy`, `started` or `suspended`: RQ's word.")]
    current_job_id: str | None
    can: Annotated[tuple[str, ...], Field(description="What it can do beyond other workers.")]
    queues: Annotated[tuple[str, ...], Field(description="The queues that it empties, in this order.")]
    last_beat_at: Annotated[datetime | None, Field(description="The last sign of life, at most seconds ago.")]
    memory_bytes: Annotated[
        int, Field(ge=0, description="Resident memory of the worker and of the process that runs its job.")
    ]
    draining: Annotated[bool, Field(description="It takes no more jobs, and ends when it is idle.")]

    @classmethod
    def of(cls, worker: WorkerRecord) -> Worker:
        return cls(
            name=worker.name,
            host=worker.hostname,
            state=worker.state,
            current_job_id=worker.job_id,
            can=worker.can,
            queues=worker.queues,
            last_beat_at=worker.heard_at,
            memory_bytes=worker.memory_bytes,
            draining=worker.draining,
        )


WORKER = resource(
    Worker,
    example={
        "name": "web1-4711-5f2c81aa",
        "host": "web1",
        "state": "busy",
        "current_job_id": "6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80",
        "can": [],
        "queues": ["high", "default", "low"],
        "last_beat_at": "2030-01-31T12:00:00.000000Z",
        "memory_bytes": 61_865_984,
        "draining": False,
    },
)
_REFUSED = (400, 403, 404, 413, 415)


@blueprint.get("")
@described(
    "list-workers",
    "Operations",
    "List the workers",
    {"200": returns("By name.", returned({"workers": {"type": "array", "items": WORKER}}))},
    description="For administrators. The workers of all hosts.",
    refused=(403,),
)
def page() -> Response:
    require_admin()
    query(Nothing)
    admit()
    return jsonify(workers=[resource_of(worker) for worker in workers(services().client.store)])


@blueprint.put("/<worker_name>/drain")
@described(
    "drain-worker",
    "Operations",
    "Drain a worker",
    {"200": returns("The worker. It notices within a second.", WORKER)},
    description="For administrators. The worker finishes its job, takes no other, and ends. It is not restarted. When "
    "all workers of a `worker.py` have drained, that process ends with exit code 0.",
    refused=_REFUSED,
)
def drain_worker(worker_name: str) -> Response:
    return _change(worker_name, draining=True)


@blueprint.delete("/<worker_name>/drain")
@described(
    "undo-drain",
    "Operations",
    "Let a draining worker take jobs again",
    {"200": returns("The worker.", WORKER)},
    description="For administrators. It works until the worker has ended.",
    refused=_REFUSED,
)
def undo_drain(worker_name: str) -> Response:
    return _change(worker_name, draining=False)


def resource_of(worker: WorkerRecord) -> dict[str, Any]:
    """Return the worker of the HTTP API."""
    return public_fields(Worker.of(worker))


def _change(name: str, *, draining: bool) -> Response:
    require_admin()
    store = services().client.store
    find(store, name)
    no_body()
    query(Nothing)
    admit(partial(find, store, name))
    return jsonify(resource_of(drain(store, name, draining=draining)))
