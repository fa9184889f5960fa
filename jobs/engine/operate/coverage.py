"""Find priorities of job types that no worker takes."""

from __future__ import annotations

from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.states import Priority

from .workers import workers

#: Names of job types that a warning lists.
MOST_NAMES = 5


def warn_about_coverage(store: Store, catalogue: Catalogue) -> list[str]:
    """Return a sentence for each priority that job types have by default and that no live worker takes.

    A worker that drains does not count. Raises BrokerUnavailable if the broker can't be reached.
    """
    live = [worker for worker in workers(store) if not worker.draining]
    if not live:
        return ["No worker is running."]
    taken = {queue for worker in live for queue in worker.queues}
    left = {priority: _of(priority, catalogue) for priority in Priority if priority not in taken}
    return [_warning(priority, names) for priority, names in left.items() if names]


def _of(priority: Priority, catalogue: Catalogue) -> list[str]:
    return [job_type.name for job_type in catalogue.values() if job_type.priority == priority]


def _warning(priority: Priority, names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"No live worker takes jobs of priority {priority} (WORKER_QUEUES): {', '.join(names[:MOST_NAMES])}{more}."
