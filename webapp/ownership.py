"""Whose job it is: only its owner and admins may see or touch it."""

from __future__ import annotations

from jobs.engine.errors import Forbidden
from jobs.engine.resource import Job

from .auth import caller
from .services import services


def visible_job(job_id: str) -> Job:
    """A job that the caller may see. One that belongs to nobody is for admins.

    Raises:
        JobNotFound, Forbidden
    """
    job = services().client.find(job_id)
    user = caller()
    if job.user_id != user.user_id and not user.is_admin:
        raise Forbidden("This job belongs to somebody else.")
    return job
