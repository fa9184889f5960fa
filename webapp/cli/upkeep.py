"""`jobs doctor` and `jobs check`: is all well in the broker, and will it be after a deployment?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from jobs.engine.broker.connection import broker_errors
from jobs.engine.operate.deploy_check import DeployCheck, Mismatch
from jobs.engine.operate.doctor import Doctor, Finding
from webapp.recording import REPAIR
from webapp.services import services

from .exits import FINE, NOT_FINE
from .operator import note
from .text import json_option, print_json, printable


@click.command(short_help="Look for damage in the broker, and mend it.")
@click.option("--repair", is_flag=True, help="Mend what is found.")
@json_option
def doctor(repair: bool, as_json: bool) -> None:
    """Look for damage in the broker: jobs in no list, claims of nobody, records that never expire.

    Everything is read, so it takes a while on a large broker. Nothing is changed without --repair.
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
    sys.exit(NOT_FINE if left else FINE)


@click.command(short_help="Hold what waits against the code about to be deployed.")
@json_option
def check(as_json: bool) -> None:
    """Hold what waits in the broker against the code that is about to be deployed.

    Settings and catalogue are checked first. Then each job that is queued, scheduled, waiting, retrying or running, and
    each schedule, is held against the signature of its function here. Those that no longer fit are named, and the
    exit code is 1: drain or cancel them first, or keep the old parameters valid. It is the release step of the
    Procfile.
    """
    settings, catalogue = services().settings, services().catalogue
    if not as_json:
        click.echo("Settings:")
        for name, shown in settings.shown().items():
            click.echo(f"  {name.upper()}={shown}")
        click.echo(f"Catalogue: {len(catalogue)} job types: {', '.join(catalogue) or 'none'}")
    checked = DeployCheck(services().client.store, catalogue, settings)
    mismatches = []
    for mismatch in checked.mismatches():
        mismatches.append(mismatch)
        if not as_json:
            click.echo(printable(f"Does not fit: {mismatch}"))
    if as_json:
        print_json(_checked(checked, mismatches) | {"settings": settings.shown(), "job_types": list(catalogue)})
    else:
        click.echo(_verdict(checked, mismatches))
    sys.exit(NOT_FINE if mismatches else FINE)


def _plain(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def _summary(findings: Sequence[Finding], left: Sequence[Finding], *, repair: bool) -> str:
    if not findings:
        return "Everything is in its place."
    if not repair:
        return f"{len(findings)} findings; --repair mends them."
    return f"{len(findings)} findings, all mended." if not left else f"{len(left)} findings are left after the repair."


def _checked(checked: DeployCheck, mismatches: Sequence[Mismatch]) -> dict[str, Any]:
    return {
        "fits": not mismatches,
        "jobs": checked.jobs,
        "schedules": checked.schedules,
        "misfits": [each.as_dict() for each in mismatches],
    }


def _verdict(checked: DeployCheck, mismatches: Sequence[Mismatch]) -> str:
    looked_at = f"{checked.jobs} unfinished jobs and {checked.schedules} schedules"
    if mismatches:
        return f"{len(mismatches)} of {looked_at} do not fit this code; drain or cancel them, or keep it compatible."
    return f"{looked_at} fit this code."
