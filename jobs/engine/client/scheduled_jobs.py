"""Make the submission of a schedule's job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schedule import Plan
from .submission import Submission

if TYPE_CHECKING:
    from .client import Client


def scheduled_job(client: Client, plan: Plan, user_id: str, *, admin: bool) -> Submission:
    """Return a job of a plan.

    Raises:
        JobTypeNotFound
        InvalidParameters
    """
    job_type = client.catalogue.find(plan.job_type)
    job_type.parameters.validate(plan.params)
    return Submission(job_type, plan.params, user_id, admin=admin)
