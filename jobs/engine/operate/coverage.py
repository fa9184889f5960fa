"""Find what no worker takes: priorities and needs of job types, and queues in which jobs wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.states import Priority

from .figures import QueueFigures
from .metrics import Metrics
from .workers import WorkerRecord, workers

#: Names of job types that a warning lists.
MOST_NAMES = 5


def warn_about_coverage(store: Store, catalogue: Catalogue) -> list[str]:
    """Return a sentence for each priority that job types have by default and that no live worker takes.

    The same for job types whose needs no live worker meets, and for queues in which jobs wait and which none serves. A
    worker that drains does not count. Raises BrokerUnavailable if the broker can't be reached.
    """
    live = [worker for worker in workers(store) if not worker.draining]
    if not live:
        return ["No worker is running."]
    taken = {queue for worker in live for queue in worker.queues}
    left = {priority: _of(priority, catalogue) for priority in Priority if priority not in taken}
    warnings = [_warning(priority, names) for priority, names in left.items() if names]
    return [*warnings, *_unmet(live, catalogue), *_unserved(Metrics(store).read().queues)]


def _unmet(live: list[WorkerRecord], catalogue: Catalogue) -> Iterator[str]:
    by_needs: dict[tuple[str, ...], list[str]] = {}
    for job_type in catalogue.values():
        by_needs.setdefault(job_type.needs, []).append(job_type.name)
    for needs, names in sorted(by_needs.items()):
        if not any(set(needs) <= set(worker.can) for worker in live):
            yield f"No live worker has {' and '.join(needs)} in WORKER_CAN: {_some(names)}."


def _unserved(queues: Iterable[QueueFigures]) -> Iterator[str]:
    for queue in queues:
        if queue.no_worker:
            yield f"No live worker serves queue {queue.name}, in which jobs wait: {queue.no_worker}."


def _of(priority: Priority, catalogue: Catalogue) -> list[str]:
    return [job_type.name for job_type in catalogue.values() if job_type.priority == priority]


def _warning(priority: Priority, names: list[str]) -> str:
    return f"No live worker takes jobs of priority {priority} (WORKER_QUEUES): {_some(names)}."


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"
