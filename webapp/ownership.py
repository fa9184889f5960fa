"""Decide who may see what: a resource is visible to its owner and to admins, and an admin's reads are recorded."""

from __future__ import annotations

from typing import TypeVar

from jobs.engine.client.groups import Group, Groups
from jobs.engine.client.job import Job
from jobs.engine.client.schedule import Schedule
from jobs.engine.client.schedules import Schedules
from jobs.engine.errors import Forbidden
from jobs.engine.files.stored_file import StoredFile

from .auth import caller
from .recording import admin_reads
from .services import services

Resource = TypeVar("Resource")


def visible(resource: Resource, *, owner: str | None, kind: str, subject: str) -> Resource:
    """Return a resource if the caller may see it. Only admins see what belongs to no user.

    If an admin sees another user's resource, `subject` goes into the audit log.

    Raises:
        Forbidden
    """
    user = caller()
    if owner != user.user_id:
        if not user.is_admin:
            raise Forbidden(f"This {kind} belongs to another user.")
        admin_reads(subject)
    return resource


def visible_job(job_id: str) -> Job:
    """Return a job that the caller may see.

    Raises:
        JobNotFound, Forbidden
    """
    return if_visible(services().client.find(job_id))


def if_visible(job: Job) -> Job:
    """Return the job if the caller may see it. Raises Forbidden."""
    return visible(job, owner=job.user_id, kind="job", subject=job.job_id)


def visible_user_jobs(user_id: str) -> str:
    """Return the id of a user whose list of jobs the caller may see. Raises Forbidden."""
    return visible(user_id, owner=user_id, kind="list of jobs", subject=f"jobs of {user_id}")


def visible_group(kind: str, group_id: str) -> Group:
    """Return a batch or pipeline that the caller may see.

    Raises:
        GroupNotFound, Forbidden
    """
    group = Groups(services().client).find(kind, group_id)
    return visible(group, owner=group.user_id, kind=kind, subject=group_id)


def visible_file(file_id: str) -> StoredFile:
    """Return the record of a file that the caller may see.

    Raises:
        StoredFileNotFound, Forbidden
    """
    file = services().client.files.find(file_id)
    return visible(file, owner=file.owner, kind="file", subject=file_id)


def visible_schedule(schedule_id: str) -> Schedule:
    """Return a schedule that the caller may see.

    Raises:
        ScheduleNotFound, Forbidden
    """
    schedule = Schedules(services().client).find(schedule_id)
    return visible(schedule, owner=schedule.user_id, kind="schedule", subject=schedule_id)
