"""Show a job on a terminal, and turn its end into an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from jobs.engine.client.job import Job
from jobs.engine.states import Status
from webapp.resource_table import job_fields

from .bar import Bar
from .exits import FAILURE, SUCCESS
from .text import duration, moment, print_json, printable

NEWLINE = "\n"


def end_with(job: Job, *, as_json: bool) -> None:
    """Print how a job ended, and exit with the code for it."""
    if as_json:
        print_json(job.as_dict())
    elif job.status is Status.COMPLETED:
        click.echo(printable(_json(job.result)))
    else:
        click.echo(f"{_ended(job)}{_error(job)}", err=True)
    sys.exit(SUCCESS if job.status is Status.COMPLETED else FAILURE)


def print_job(job: Job) -> None:
    """Print a line for each field of a job that has a value, then the trace of its last failure."""
    lines = [(field.label, text_of(job, field.name)) for field in job_fields() if field.label]
    lines.append(("trace", job.trace or ""))
    width = max(len(label) for label, _ in lines) + 1
    for label, text in lines:
        if text:
            click.echo(f"{label:<{width}} {printable(text).replace(NEWLINE, NEWLINE + ' ' * (width + 1))}")


def text_of(job: Job, name: str) -> str:
    """Return a field of a job for a terminal, with the fields that its line includes; empty if there is nothing."""
    if name in _TEXTS:
        return _TEXTS[name](job)
    value = getattr(job, name)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _ended(job: Job) -> str:
    if job.started_at is None or job.completed_at is None:
        return str(job.status)
    return f"{job.status} after {duration((job.completed_at - job.started_at).total_seconds())}"


def _error(job: Job) -> str:
    parts = [part for part in (job.error_type, job.error) if part]
    return printable("".join(f": {part}" for part in parts))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _progress(job: Job) -> str:
    bar = Bar()
    bar.show(job)
    return bar.words()


def _attempt(job: Job) -> str:
    return f"{job.attempt} of {job.max_attempts}" + (f", resumed {job.resumed}" if job.resumed else "")


#: The fields whose line includes others, or that are JSON.
_TEXTS: dict[str, Callable[[Job], str]] = {
    "user_id": lambda job: job.user_id or "nobody",
    "status": lambda job: _ended(job) if job.status.terminal else str(job.status),
    "progress": _progress,
    "attempt": _attempt,
    "params": lambda job: _json(job.params),
    "result": lambda job: _json(job.result) if job.status is Status.COMPLETED else "",
    "error": lambda job: _error(job).removeprefix(": "),
}
