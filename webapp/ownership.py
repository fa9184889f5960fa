"""Whose it is: only its owner and admins may see or touch a job, a batch or a pipeline."""

from __future__ import annotations

from jobs.engine.client.groups import Group, Groups
from jobs.engine.client.job import Job
from jobs.engine.errors import Forbidden

from .auth import caller
from .recording import admin_reads
from .services import services


def visible_job(job_id: str) -> Job:
    """A job that the caller may see. One that belongs to nobody is for admins.

    Raises:
        JobNotFound, Forbidden
    """
    job = services().client.find(job_id)
    refuse_strangers(job)
    return job


def refuse_strangers(job: Job) -> None:
    """Raise Forbidden if the caller may not see a job."""
    user = caller()
    if job.user_id != user.user_id and not user.is_admin:
        raise Forbidden("This job belongs to somebody else.")
    if job.user_id != user.user_id:
        admin_reads(job.job_id)


def visible_group(kind: str, group_id: str) -> Group:
    """A batch or pipeline that the caller may see.

    Raises:
        GroupNotFound, Forbidden
    """
    group = Groups(services().client).find(kind, group_id)
    user = caller()
    if group.user_id != user.user_id and not user.is_admin:
        raise Forbidden(f"This {kind} belongs to somebody else.")
    if group.user_id != user.user_id:
        admin_reads(group_id)
    return group
