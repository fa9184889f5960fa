"""`jobs pause` and `jobs resume`: let no worker take the jobs of a queue or of a job type for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from jobs.engine.client.pauses import MAX_REASON_CHARACTERS
from webapp.job_types import check_resumable, job_type_fields
from webapp.queues import control, queue_fields
from webapp.recording import PAUSE_JOB_TYPE, PAUSE_QUEUE, RESUME_JOB_TYPE, RESUME_QUEUE
from webapp.services import services

from .exits import usage
from .operator import note
from .submitting import Moment
from .text import json_option, print_json, printable

QUEUE, TYPE = "queue", "type"


def _subject(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments that name a queue or a job type."""
    named = click.argument("name", metavar="NAME")(command)
    return click.argument("what", type=click.Choice([QUEUE, TYPE]))(named)


@click.command("pause", short_help="Let no worker take the jobs of a queue or a job type.")
@_subject
@click.option("--reason", metavar="TEXT", help="Shown beside the pause.")
@click.option("--until", type=Moment(), metavar="TIME", help="Resume at this time, for example 2030-01-31T12:00:00Z.")
@json_option
def pause(what: str, name: str, reason: str | None, until: datetime | None, as_json: bool) -> None:
    """Let no worker take the jobs of a queue or a job type. Running jobs finish, and jobs can still be submitted.

    NAME is from 'jobs queues' or 'jobs types'. The pause of high, default or low includes its queues with needs.
    """
    reason = (reason or "").strip() or None
    if reason and len(reason) > MAX_REASON_CHARACTERS:
        usage(f"--reason: {len(reason)} characters; at most {MAX_REASON_CHARACTERS} are allowed.")
    if what == QUEUE:
        control().check_queue(name)
        paused = control().pause_queue(name, None, reason, until)
        note(PAUSE_QUEUE, subject=name)
        _show(queue_fields(name, paused), as_json)
    else:
        services().catalogue.find(name)
        paused = control().pause_job_type(name, None, reason, until)
        note(PAUSE_JOB_TYPE, subject=name)
        _show(job_type_fields(name, paused), as_json)


@click.command("resume", short_help="End the pause of a queue or a job type.")
@_subject
@json_option
def resume(what: str, name: str, as_json: bool) -> None:
    """Let workers take the jobs of a queue or a job type again."""
    if what == QUEUE:
        control().check_queue(name)
        control().resume_queue(name)
        note(RESUME_QUEUE, subject=name)
        _show(queue_fields(name, control().pauses().of_queue(name)), as_json)
    else:
        check_resumable(name)
        control().resume_job_type(name)
        note(RESUME_JOB_TYPE, subject=name)
        _show(job_type_fields(name, None), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found["paused"]:
        until = f" until {found['paused']['until']}" if found["paused"]["until"] else ""
        click.echo(printable(f"Paused{until}: {found['name']}"))
    else:
        click.echo(printable(f"Not paused: {found['name']}"))
