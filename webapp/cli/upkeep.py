"""`jobs doctor` and `jobs check`: find damage in the broker, and jobs that a deployment would break."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from jobs.engine.broker.connection import broker_errors
from jobs.engine.operate.coverage import warn_about_coverage
from jobs.engine.operate.deploy_check import DeployCheck, Mismatch
from jobs.engine.operate.doctor import Doctor
from jobs.engine.operate.findings import Finding
from jobs.engine.operate.full_broker import lacks_memory_for_functions
from webapp.recording import REPAIR
from webapp.services import services

from .exits import FAILURE, SUCCESS
from .operator import note
from .text import json_option, print_json, printable


@click.command(short_help="Find damage in the broker and repair it.")
@click.option("--repair", is_flag=True, help="Repair the damage.")
@json_option
def doctor(repair: bool, as_json: bool) -> None:
    """Find damage in the broker: jobs in no list, claims without a worker, records that never expire.

    The doctor reads everything, which takes a while on a large broker. Without --repair it changes nothing.
    """
    examined = Doctor(services().client.store)
    with broker_errors():
        findings = examined.examine()
        left = findings
        if repair and findings:
            examined.repair(findings)
            note(REPAIR, subject=None)
            left = examined.examine()
    if as_json:
        print_json({"findings": [_plain(each) for each in findings], "left": [_plain(each) for each in left]})
    else:
        for finding in findings:
            click.echo(printable(str(finding)))
        click.echo(_summary(findings, left, repair=repair))
    sys.exit(FAILURE if left else SUCCESS)


@click.command(short_help="Check unfinished jobs against the code to deploy.")
@json_option
def check(as_json: bool) -> None:
    """Check unfinished jobs and schedules against the code to deploy.

    Settings and catalogue are checked first. Then the parameters of each unfinished job (queued, scheduled, waiting,
    retrying or running) and of each schedule are validated against the function in this code. If some are invalid,
    they are listed and the exit code is 1: let these jobs finish, cancel them, or keep the old parameters valid. A
    job is also listed if no live worker serves its queue and the needs of its job type have changed. The exit code is
    also 1 if the broker is full and can't load the functions of this code. Priorities, needs and queues that no live
    worker takes cause warnings, and so do changed limits and unique keys. This is the release step of the Procfile.
    """
    settings, catalogue = services().settings, services().catalogue
    if not as_json:
        click.echo("Settings:")
        for name, value in settings.shown().items():
            click.echo(f"  {name.upper()}={value}")
        click.echo(f"Catalogue: {len(catalogue)} job types: {', '.join(catalogue) or 'none'}")
    problem = lacks_memory_for_functions(services().client.store)
    if problem and not as_json:
        click.echo(f"Problem: {problem}")
    checked = DeployCheck(services().client.store, catalogue, settings)
    mismatches = []
    for mismatch in checked.mismatches():
        mismatches.append(mismatch)
        if not as_json:
            click.echo(printable(f"Incompatible: {mismatch}"))
    warnings = [*warn_about_coverage(services().client.store, catalogue), *_moved(checked), *_changed(checked)]
    if as_json:
        found = {
            "problem": problem,
            "warnings": warnings,
            "settings": settings.shown(),
            "job_types": list(catalogue),
        }
        print_json(_checked(checked, mismatches) | found)
    else:
        for warning in warnings:
            click.echo(f"Warning: {warning}")
        click.echo(_verdict(checked, mismatches))
    sys.exit(FAILURE if mismatches or problem else SUCCESS)


def _moved(checked: DeployCheck) -> list[str]:
    return [
        f"Jobs of {job_type} wait in queue {queue}: {count}. New ones go to another, since its needs have changed."
        for (queue, job_type), count in sorted(checked.moved.items())
    ]


_CHANGED = {
    "limits": "Unfinished jobs of {job_type} with other limits than new ones: {count}. They keep their limits.",
    "unique": "Unfinished jobs of {job_type} with other unique keys than new ones: {count}. Until they end, an equal "
    "submission stores a second job.",
}


def _changed(checked: DeployCheck) -> list[str]:
    return [
        _CHANGED[rule].format(job_type=job_type, count=count)
        for (job_type, rule), count in sorted(checked.changed.items())
    ]


def _plain(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def _summary(findings: Sequence[Finding], left: Sequence[Finding], *, repair: bool) -> str:
    if not findings:
        return "No damage found."
    if not repair:
        return f"{len(findings)} findings; use --repair to repair them."
    return f"{len(findings)} findings, all repaired." if not left else f"{len(left)} findings remain after the repair."


def _checked(checked: DeployCheck, mismatches: Sequence[Mismatch]) -> dict[str, Any]:
    return {
        "fits": not mismatches,
        "jobs": checked.jobs,
        "schedules": checked.schedules,
        "misfits": [each.as_dict() for each in mismatches],
    }


def _verdict(checked: DeployCheck, mismatches: Sequence[Mismatch]) -> str:
    checked_all = f"Checked unfinished jobs: {checked.jobs}, schedules: {checked.schedules}."
    if mismatches:
        return (
            f"{checked_all} Incompatible with this code: {len(mismatches)}. "
            "Let them finish, cancel them, or keep the old parameters valid."
        )
    return f"{checked_all} All are compatible with this code."
