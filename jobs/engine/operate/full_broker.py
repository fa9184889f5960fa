"""Check before a deployment that the broker has memory for the functions of the new code."""

from __future__ import annotations

from typing import Any

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.scripts import MAKE_ROOM
from jobs.engine.broker.store.sources import functions
from jobs.engine.broker.store.store import Store


def lacks_memory_for_functions(store: Store) -> str | None:
    """Return a sentence if the broker is full and lacks the functions of this code, or None.

    A full broker refuses to load functions, so this code could not run a job or serve a request. A broker that does not
    permit the questions is not judged.

    Raises:
        BrokerUnavailable
    """
    connection: Any = store.connection
    with broker_errors():
        try:
            memory = connection.info("memory")
            used, limit = memory["used_memory"] - memory.get("mem_not_counted_for_evict", 0), memory.get("maxmemory", 0)
            if not limit or used <= limit or connection.function_list(library=functions().name):
                return None
        except redis.ResponseError:  # forbidden, or unknown
            return None
    return (
        f"The broker is full ({used:,} of {limit:,} bytes), so it can't load the functions of this code, which could "
        f"not run a job or serve a request. {MAKE_ROOM}"
    )
