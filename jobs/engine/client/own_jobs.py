"""Let a job read the jobs of the user for whom it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from jobs.engine.author.running import current_job
from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.settings import settings

from .client import Client
from .job import Job

#: Jobs that are read at once.
PAGE = 200


def own_jobs(at_most: int) -> Iterator[Job]:
    """Yield the jobs of the current job's user, newest first, the current job included. Outside a job, yield nothing.

    Raises:
        BrokerUnavailable: the broker can't be reached.
    """
    job = current_job()
    if job is None or not job.user_id:
        return
    with closing(connect(settings())) as connection:
        client = Client(connection, settings(), Catalogue())
        cursor: str | None = None
        while at_most > 0:
            page = client.page(job.user_id, limit=min(PAGE, at_most), cursor=cursor)
            yield from page.jobs
            at_most -= len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return
