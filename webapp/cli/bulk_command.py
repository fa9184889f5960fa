"""`jobs bulk`: cancel, retry or delete all jobs that a filter matches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobs.engine.client.bulk import bulk_submission
from jobs.engine.client.bulk_request import Action
from jobs.engine.states import Status
from jobs.engine.times import rfc3339
from webapp.recording import BULK_ACTION
from webapp.services import services

from .operator import acting_user, as_option, note
from .submitting import Moment
from .text import json_option, print_json


@click.command("bulk", short_help="Cancel, retry or delete all jobs that match.")
@click.argument("action", type=click.Choice([str(each) for each in Action]))
@click.option("--status", type=click.Choice([str(each) for each in Status]), help="Only jobs with this status.")
@click.option("--type", "job_type", metavar="JOB_TYPE", help="Only jobs of this type.")
@click.option("--tag", metavar="TAG", help="Only jobs with this tag.")
@click.option("--error-type", metavar="WORD", help="Only jobs that ended with this error type.")
@click.option("--error", metavar="WORDS", help="Only jobs whose error contains each of these words.")
@click.option("--created-after", type=Moment(), metavar="TIME", help="For example 2030-01-31T12:00:00Z.")
@click.option("--created-before", type=Moment(), metavar="TIME", help="For example 2030-01-31T12:00:00Z.")
@click.option("--user", "owner", metavar="USER", help="Owner of the jobs; '*' for all. Default: the user of --as.")
@as_option("User for whom it is done.")
@json_option
def bulk(action: str, owner: str | None, user_id: str, as_json: bool, **conditions: Any) -> None:
    """Cancel, retry or delete all jobs that match, in a job of its own, and print that job's ID.

    All conditions must hold, and at least one must be given. Only jobs that match now are touched.
    """
    chosen = {name: _as_text(value) for name, value in conditions.items() if value is not None}
    params = {"action": action, "filter": chosen | ({"user_id": owner} if owner else {})}
    job = services().client.submit(bulk_submission(services().catalogue, params, acting_user(user_id))).job
    note(BULK_ACTION, subject=job.job_id, user_id=user_id)
    print_json(job.as_dict()) if as_json else click.echo(job.job_id)


def _as_text(value: Any) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
