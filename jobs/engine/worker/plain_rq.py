"""The check of a job of plain RQ, before anything in it is loaded or imported."""

from __future__ import annotations

from collections.abc import Collection

from rq.job import Job

from jobs.engine.broker.store.calls import read_call
from jobs.engine.catalogue.catalogue import Catalogue


def refusal(job: Job, allowed_functions: Collection[str], catalogue: Catalogue) -> str | None:
    """Return why a job must not run here, or None if it may.

    It may run if it is JSON and calls a plain function, and the function and its callbacks are each in the catalogue or
    in ALLOWED_FUNCTIONS. Otherwise anyone who can write to the broker could import and call anything.
    """
    try:
        function, instance, args, kwargs = read_call(job.data)
    except (ValueError, TypeError, RecursionError):
        return (
            "This job is not JSON, and the workers never load pickles. Enqueue it with "
            "rq.Queue(…, serializer='json'), or submit it over HTTP."
        )
    if instance is not None or not isinstance(args, list) or not isinstance(kwargs, dict):
        return "This job calls a method of an object; the workers run only functions."
    callbacks = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name)
    for name in (function, *(name for name in callbacks if name)):
        if not isinstance(name, str) or not (name in allowed_functions or catalogue.by_function(name)):
            return f"The function {name!r} is neither in the catalogue nor in ALLOWED_FUNCTIONS; add it there."
    return None
