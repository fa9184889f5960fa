"""Acting on many jobs at once. `POST /api/v1/jobs/bulk` submits this job."""

from __future__ import annotations

from jobs.engine import Limit, Retry, TryAgainLater, job
from jobs.engine.client.bulk_request import Action, BulkCounts
from jobs.engine.client.job_filter import JobFilter

#: The broker was away for longer than an attempt waits.
_OUTAGE = Retry(max=50, delay=5, max_delay=60, on=(TryAgainLater,))


@job(priority="high", timeout=3600, retry=_OUTAGE, limits=[Limit(running=2, by="user")])
def bulk_action(action: Action, filter: JobFilter) -> BulkCounts:  # noqa: A002 (the API's name)
    """Cancel, retry or delete all jobs that match a filter.

    Only jobs that matched when this job was submitted are touched. It acts on the jobs of its owner; if the owner is an
    administrator, `user_id` chooses another owner, or all with `*`. A job that can't be changed is skipped and counted:
    cancelling does nothing to an ended job, and only an ended one is deleted. A retry waits while the owner of the jobs
    has reached MAX_ACTIVE_JOBS_PER_USER.
    """
    from jobs.engine.client.bulk import act_on_matching

    return act_on_matching(action, filter)
