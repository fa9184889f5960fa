"""`flask --app webapp jobs …`: what a user of the HTTP API does, from a terminal."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import click

from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.client.job import Job
from jobs.engine.states import Status
from webapp.job_fields import job_fields
from webapp.services import services

from .endings import end_with, print_job, text_of
from .exits import INTERRUPTED, Commands, usage
from .following import display, follow, log_line
from .operator import acting_user, as_option, note
from .submitting import Moment, Submit
from .text import cut, json_option, print_json, printable, table
from .upkeep import check, doctor

#: The fields of a job that a list shows. What it last reported stands beside them.
COLUMNS = ("job_id", "job_type", "status", "progress", "created_at")
ERROR_CHARACTERS = 60


@click.group(cls=Commands)
def jobs() -> None:
    """Submit jobs, look at them, and look after them.

    The broker is asked directly: it is the one of REDIS_URL, or the embedded one of DATA_DIR.
    """


jobs.add_command(Submit("submit", subcommand_metavar="JOB_TYPE [OPTIONS]", help="Submit a job, and print its id."))
jobs.add_command(doctor)
jobs.add_command(check)


@jobs.command(with_appcontext=False)
@click.argument("job_type", required=False)
@json_option
def types(job_type: str | None, as_json: bool) -> None:
    """List what can be submitted; with JOB_TYPE, describe it."""
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
@as_option("Whose jobs.")
@click.option("--status", type=click.Choice([str(each) for each in Status]))
@click.option("--type", "job_type", metavar="JOB_TYPE")
@click.option("--tag", metavar="WORD")
@click.option("--created-after", type=Moment(), metavar="TIME")
@click.option("--created-before", type=Moment(), metavar="TIME")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")
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
        click.echo(f"No such jobs of {user_id}; 'jobs submit' makes one." if not page.next_cursor else "None so far.")
    if page.next_cursor:
        click.echo(f"There may be more: --cursor {page.next_cursor}")


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def show(job_id: str, as_json: bool) -> None:
    """Show one job."""
    job = services().client.find(job_id)
    print_json(job.as_dict()) if as_json else print_job(job)


@jobs.command("follow", with_appcontext=False)
@click.argument("job_id")
@click.option("--logs", is_flag=True, help="Also print what it prints and logs.")
@json_option
def follow_job(job_id: str, logs: bool, as_json: bool) -> None:
    """Show a job's progress until it ends, then its result. Ctrl-C leaves the job alone."""
    if logs and as_json:
        usage("--json prints the job alone; its log is in 'jobs logs JOB_ID --json'.")
    try:
        job = follow(job_id, display(quiet=as_json), logs=logs)
    except KeyboardInterrupt:
        click.echo(f"The job goes on: jobs follow {job_id}", err=True)
        sys.exit(INTERRUPTED)
    end_with(job, as_json=as_json)


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def logs(job_id: str, as_json: bool) -> None:
    """Print what a job printed and logged."""
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
    """Cancel a job. One that runs is stopped by its worker within 5 seconds."""
    job = services().client.cancel(job_id)
    note("cancel-job", subject=job_id)
    if as_json:
        print_json(job.as_dict())
    else:
        click.echo("cancelled" if job.status is Status.CANCELLED else "It runs; its worker stops it.")


@jobs.command(with_appcontext=False)
@click.argument("job_id")
@json_option
def retry(job_id: str, as_json: bool) -> None:
    """Run a failed or cancelled job again, from its checkpoint."""
    job = services().client.retry(job_id)
    note("retry-job", subject=job_id)
    print_json(job.as_dict()) if as_json else click.echo(f"{job.status}: jobs follow {job.job_id}")


def _heads() -> tuple[str, ...]:
    labels = {field.name: field.label.upper() for field in job_fields()}
    return (*(labels[name] for name in COLUMNS), "WHAT")


def _row(job: Job) -> tuple[str, ...]:
    short = {"status": str(job.pending_reason or job.status), "progress": f"{job.progress:.0f} %"}
    what = job.error or job.progress_message or ", ".join(job.tags)
    return (*(short.get(name) or text_of(job, name) or "-" for name in COLUMNS), cut(what, ERROR_CHARACTERS))


def _described(kind: JobType) -> str:
    schema = kind.parameters.schema
    told = [f"{kind.name}: {kind.summary}" if kind.summary else kind.name]
    if kind.description:
        told += ["", kind.description]
    retry_policy = f"{kind.max_attempts} attempts" if kind.max_attempts > 1 else "one attempt"
    told += ["", f"Priority {kind.priority}, {kind.timeout} s an attempt, {retry_policy}.", "", "Parameters:"]
    told += [f"  {line}" for line in json.dumps(schema.get("properties", {}), indent=2).splitlines()]
    told += ["", f"Submit one: jobs submit {kind.name} --help"]
    return printable("\n".join(told))
