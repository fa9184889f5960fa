"""What a job's resource looks like on a terminal, and the exit code that its end makes."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from jobs.engine.client.job import Job
from jobs.engine.states import Status

from .bar import Bar
from .exits import FINE, NOT_FINE
from .text import duration, moment, print_json, printable


def end_with(job: Job, *, as_json: bool) -> None:
    """Print how a job has ended, and end the command with what it means to a script."""
    if as_json:
        print_json(job.as_dict())
    elif job.status is Status.COMPLETED:
        click.echo(printable(_json(job.result)))
    else:
        click.echo(f"{_ended(job)}{_error(job)}", err=True)
    sys.exit(FINE if job.status is Status.COMPLETED else NOT_FINE)


def print_job(job: Job) -> None:
    """Everything about a job, a line for each thing that there is to say."""
    bar = Bar()
    bar.tell(job)
    rows: list[tuple[str, str]] = [
        ("job", job.job_id),
        ("type", job.job_type),
        ("user", job.user_id or "nobody"),
        ("status", job.status if not job.status.terminal else _ended(job)),
        ("progress", bar.words()),
        ("priority", job.priority),
        ("attempt", f"{job.attempt} of {job.max_attempts}" + (f", resumed {job.resumed}" if job.resumed else "")),
        ("tags", ", ".join(job.tags)),
        ("created", moment(job.created_at)),
        ("scheduled", moment(job.scheduled_at) if job.scheduled_at else ""),
        ("started", moment(job.started_at) if job.started_at else ""),
        ("ended", moment(job.completed_at) if job.completed_at else ""),
        ("expires", moment(job.expires_at) if job.expires_at else ""),
        ("params", _json(job.params)),
        ("result", _json(job.result) if job.status is Status.COMPLETED else ""),
        ("error", _error(job).removeprefix(": ")),
        ("trace", job.trace or ""),
    ]
    for name, value in rows:
        if value:
            click.echo(f"{name:<10} {printable(value).replace(chr(10), chr(10) + ' ' * 11)}")


def _ended(job: Job) -> str:
    if job.started_at is None or job.completed_at is None:
        return str(job.status)
    return f"{job.status} after {duration((job.completed_at - job.started_at).total_seconds())}"


def _error(job: Job) -> str:
    parts = [part for part in (job.error_type, job.error) if part]
    return printable("".join(f": {part}" for part in parts))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
