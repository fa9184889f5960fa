"""`flask --app webapp schedules …`: show and control schedules."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from jobs.engine.client.pauses import MAX_REASON_CHARACTERS
from jobs.engine.client.schedule import CatchUp, Overlap, Plan, Schedule
from jobs.engine.client.schedule_changes import ScheduleChanges
from jobs.engine.client.schedules import Schedules
from webapp.body import strict_json
from webapp.schedule_resource import run_fields, schedule_fields
from webapp.services import services

from .exits import Commands, usage
from .operator import acting_user, as_option, note
from .submitting import Moment
from .text import json_option, moment, print_json, printable, table

_OVERLAPS = click.Choice([str(each) for each in Overlap])
_CATCH_UPS = click.Choice([str(each) for each in CatchUp])


@click.group(cls=Commands)
def schedules() -> None:
    """Create, show and control schedules."""


def _schedules() -> Schedules:
    return Schedules(services().client)


def _changes() -> ScheduleChanges:
    return ScheduleChanges(services().client)


def _plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a schedule's plan."""
    for option in reversed(
        (
            click.option("--params", metavar="JSON", help="The parameters of the jobs."),
            click.option("--timezone", metavar="ZONE", help="For example Europe/Berlin. Default: UTC."),
            click.option("--overlap", type=_OVERLAPS, help="If an earlier job has not ended. Default: allow."),
            click.option("--catch-up", type=_CATCH_UPS, help="If no scheduler was running. Default: one."),
        )
    ):
        command = option(command)
    return command


@schedules.command(with_appcontext=False)
@click.argument("job_type")
@click.argument("cron")
@_plan_options
@as_option("Owner of the schedule.")
@json_option
def create(job_type: str, cron: str, user_id: str, as_json: bool, **options: str | None) -> None:
    """Run a job type on a cron line, for example "0 6 * * 1-5"."""
    user = acting_user(user_id)
    plan = Plan(**{"job_type": job_type, "params": {}, "cron": cron} | _values(options))
    schedule = _schedules().create(user.user_id, plan, admin=user.is_admin)
    note("schedules.create", subject=schedule.schedule_id, user_id=user.user_id)
    print_json(schedule_fields(schedule)) if as_json else click.echo(schedule.schedule_id)


@schedules.command("list", with_appcontext=False)
@as_option("Owner of the schedules.")
@json_option
def list_schedules(user_id: str, as_json: bool) -> None:
    """List a user's schedules, oldest first."""
    found = _schedules().of_user(acting_user(user_id).user_id)
    if as_json:
        print_json({"schedules": [schedule_fields(each) for each in found]})
        return
    rows = [
        (each.schedule_id, each.plan.job_type, each.plan.cron, each.plan.timezone, _next(each), each.problem or "")
        for each in found
    ]
    heads = ("SCHEDULE ID", "JOB TYPE", "CRON", "TIME ZONE", "NEXT RUN", "PROBLEM")
    click.echo(table(heads, rows) if rows else f"{user_id} has no schedules.")


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@json_option
def show(schedule_id: str, as_json: bool) -> None:
    """Show one schedule."""
    _print(_schedules().find(schedule_id), as_json=as_json)


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@json_option
def runs(schedule_id: str, as_json: bool) -> None:
    """List the last 20 ticks of a schedule, newest first."""
    _schedules().find(schedule_id)
    found = _schedules().runs(schedule_id)
    if as_json:
        print_json({"runs": [run_fields(each) for each in found]})
        return
    rows = [(moment(each.due_at), str(each.outcome), each.job_id or "-") for each in found]
    click.echo(table(("DUE", "OUTCOME", "JOB ID"), rows) if rows else "It has not run yet.")


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@click.option("--job-type", metavar="JOB_TYPE", help="Another job type.")
@click.option("--cron", metavar="LINE", help="Another cron line. It moves the next tick.")
@_plan_options
@json_option
def edit(schedule_id: str, as_json: bool, **options: str | None) -> None:
    """Change a schedule. What is not given stays as it is."""
    schedule = _changes().edit(schedule_id, _values(options))
    note("schedules.edit", subject=schedule_id)
    _print(schedule, as_json=as_json)


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@click.option("--reason", metavar="TEXT", help="Shown beside the pause.")
@click.option("--until", type=Moment(), metavar="TIME", help="Resume by itself, for example at 2030-01-31T12:00:00Z.")
@json_option
def pause(schedule_id: str, reason: str | None, until: datetime | None, as_json: bool) -> None:
    """Pause a schedule. Ticks during the pause are not caught up."""
    if len(reason or "") > MAX_REASON_CHARACTERS:
        usage(f"--reason: expected at most {MAX_REASON_CHARACTERS} characters")
    schedule = _changes().pause(schedule_id, None, reason or None, until)
    note("schedules.pause", subject=schedule_id)
    _print(schedule, as_json=as_json)


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@json_option
def resume(schedule_id: str, as_json: bool) -> None:
    """Resume a schedule."""
    schedule = _changes().resume(schedule_id)
    note("schedules.resume", subject=schedule_id)
    _print(schedule, as_json=as_json)


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@json_option
def run(schedule_id: str, as_json: bool) -> None:
    """Submit one job now, even if the schedule is paused, and print its ID."""
    submitted = _changes().run_now(schedule_id)
    job = submitted.job
    if submitted.deduplicated:
        click.echo("An equal job exists, and nothing was stored.", err=True)
    note("schedules.run", subject=schedule_id)
    print_json(job.as_dict()) if as_json else click.echo(job.job_id)


@schedules.command(with_appcontext=False)
@click.argument("schedule_id")
@json_option
def delete(schedule_id: str, as_json: bool) -> None:
    """Delete a schedule. Jobs that it has started continue."""
    _schedules().delete(schedule_id)
    note("schedules.delete", subject=schedule_id)
    print_json({"deleted": schedule_id}) if as_json else click.echo(f"Deleted {schedule_id}.")


def _values(options: dict[str, str | None]) -> dict[str, Any]:
    """Return the given options as fields of a plan."""
    readers: dict[str, Callable[[str], Any]] = {"params": _params, "overlap": Overlap, "catch_up": CatchUp}
    return {name: readers.get(name, str)(text) for name, text in options.items() if text is not None}


def _params(text: str) -> dict[str, Any]:
    params = strict_json(text)
    if not isinstance(params, dict):
        usage("--params: expected a JSON object")
    return params


def _next(schedule: Schedule) -> str:
    return f"paused until {moment(schedule.paused.until)}" if schedule.paused else moment(schedule.next_run_at)


def _print(schedule: Schedule, *, as_json: bool) -> None:
    fields = schedule_fields(schedule)
    if as_json:
        print_json(fields)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "-" if value is None else value
        click.echo(printable(f"{name.replace('_', ' '):{width}}  {shown}"))
