"""`flask --app webapp jobs …`: submit and manage jobs from a terminal."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import click

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.job import Job
from jobs.engine.states import Status
from webapp.resource_table import job_fields
from webapp.rule_words import rules_in_words
from webapp.services import services

from .bulk_command import bulk
from .endings import end_with, print_job, text_of
from .exits import INTERRUPTED, Commands, usage
from .following import display, follow, log_line
from .operator import acting_user, as_option, note
from .pause_commands import pause, resume
from .submitting import Moment, Submit
from .text import cut, json_option, print_json, printable, table
from .upkeep import check, doctor
from .worker_commands import drain_worker, list_queues, list_workers

#: The fields of a job that a list shows, before its error, message or tags.
COLUMNS = ("job_id", "job_type", "status", "progress", "created_at")
ERROR_CHARACTERS = 60


@click.group(cls=Commands)
def jobs() -> None:
    """Submit, show and manage jobs.

    Commands talk directly to the broker at REDIS_URL, or to the embedded broker in DATA_DIR.
    """


jobs.add_command(Submit("submit", subcommand_metavar="JOB_TYPE [OPTIONS]", help="Submit a job and print its ID."))
for command in (bulk, doctor, check, list_queues, list_workers, drain_worker, pause, resume):
    jobs.add_command(command)


@jobs.command(with_appcontext=False)
@click.argument("job_type", required=False)
@json_option
def types(job_type: str | None, as_json: bool) -> None:
    """List the job types, or describe one."""
    if job_type is not None:
        kind = services().catalogue.find(job_type)
        print_json(kind.as_dict()) if as_json else click.echo(_described(kind))
        return
    kinds = list(services().catalogue.values())
    if as_json:
        print_json({"job_types": [kind.as_dict() for kind in kinds]})
    else:
        rows = [(kind.name, str(kind.priority), f"{kind.timeout} s", kind.summary) for kind in kinds]
        click.echo(table(("JOB TYPE", "PRIORITY", "TIMEOUT", "SUMMARY"), rows))


@jobs.command("list", with_appcontext=False)
@as_option("Owner of the jobs.")
@click.option("--status", type=click.Choice([str(each) for each in Status]), help="Only jobs with this status.")
@click.option("--type", "job_type", metavar="JOB_TYPE", help="Only jobs of this type.")
@click.option("--tag", metavar="TAG", help="Only jobs with this tag.")
@click.option("--created-after", type=Moment(), metavar="TIME", help="For example 2030-01-31T12:00:00Z.")
@click.option("--created-before", type=Moment(), metavar="TIME", help="For example 2030-01-31T12:00:00Z.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Maximum number of jobs.")
@click.option("--cursor", metavar="CURSOR", help="Continue where an earlier list ended.")
@json_option
def list_jobs(
    user_id: str,
    status: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List a user's jobs, newest first."""
    page = services().client.page(
        acting_user(user_id).user_id,
        status=Status(status) if status else None,
        created_after=created_after,
        created_before=created_before,
        **filters,
    )
    if as_json:
        print_json({"jobs": [job.as_dict() for job in page.jobs], "next_cursor": page.next_cursor})
        return
    if page.jobs:
        click.echo(table(_heads(), [_row(job) for job in page.jobs]))
    else:
        click.echo(f"{user_id} has no matching jobs." if not page.next_cursor else "No matching jobs so far.")
    if page.next_cursor:
        click.echo(f"For the next page: --cursor {page.next_cursor}")


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def show(job_id: str, as_json: bool) -> None:
    """Show one job."""
    job = services().client.find(job_id)
    print_json(job.as_dict()) if as_json else print_job(job)


@jobs.command("follow", with_appcontext=False)
@click.argument("job_id")
@click.option("--logs", is_flag=True, help="Also print the job's log.")
@json_option
def follow_job(job_id: str, logs: bool, as_json: bool) -> None:
    """Show a job's progress until it ends, then its result. Ctrl-C does not stop the job."""
    if logs and as_json:
        usage("--json and --logs can't be combined; use 'jobs logs JOB_ID --json' for the log.")
    try:
        job = follow(job_id, display(quiet=as_json), logs=logs)
    except KeyboardInterrupt:
        click.echo(f"The job continues. To follow it again: jobs follow {job_id}", err=True)
        sys.exit(INTERRUPTED)
    end_with(job, as_json=as_json)


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def logs(job_id: str, as_json: bool) -> None:
    """Print a job's log, which includes what it printed."""
    client = services().client
    client.find(job_id)
    lines, cursor = [], None
    while True:
        page = client.logs(job_id, cursor=cursor)
        lines += page.lines
        cursor = page.next_cursor
        if cursor is None:
            break
    if as_json:
        print_json({"lines": lines})
    else:
        click.echo("".join(log_line(line) + "\n" for line in lines), nl=False)


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def cancel(job_id: str, as_json: bool) -> None:
    """Cancel a job. A running job is stopped within 5 seconds."""
    job = services().client.cancel(job_id)
    note("cancel-job", subject=job_id)
    if as_json:
        print_json(job.as_dict())
    else:
        click.echo(
            "cancelled"
            if job.status is Status.CANCELLED
            else "The job is running; its worker will stop it within 5 seconds."
        )


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def retry(job_id: str, as_json: bool) -> None:
    """Run a failed or cancelled job again, from its checkpoint."""
    job = services().client.retry(job_id)
    note("retry-job", subject=job_id)
    print_json(job.as_dict()) if as_json else click.echo(f"{job.status}. To follow it: jobs follow {job.job_id}")


def _heads() -> tuple[str, ...]:
    labels = {field.name: field.label.upper() for field in job_fields()}
    return (*(labels[name] for name in COLUMNS), "WHAT")


def _row(job: Job) -> tuple[str, ...]:
    short = {"status": str(job.pending_reason or job.status), "progress": f"{job.progress:.0f} %"}
    what = job.error or job.progress_message or ", ".join(job.tags)
    return (*(short.get(name) or text_of(job, name) or "-" for name in COLUMNS), cut(what, ERROR_CHARACTERS))


def _described(kind: JobType) -> str:
    schema = kind.parameters.schema
    lines = [f"{kind.name}: {kind.summary}" if kind.summary else kind.name]
    if kind.description:
        lines += ["", kind.description]
    retry_policy = f"{kind.max_attempts} attempts" if kind.max_attempts > 1 else "one attempt"
    needs = f" Needs a worker that can {', '.join(kind.needs)}." if kind.needs else ""
    lines += ["", f"Priority {kind.priority}, timeout {kind.timeout} s, {retry_policy}.{needs}"]
    lines += [*rules_in_words(kind), "", "Parameters:"]
    lines += [f"  {line}" for line in json.dumps(schema.get("properties", {}), indent=2).splitlines()]
    lines += ["", f"To submit one: jobs submit {kind.name} --help"]
    return printable("\n".join(lines))
