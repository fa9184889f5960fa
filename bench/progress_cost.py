"""Rows about progress: the time for a turn of track(), and the broker commands for a million reports."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import redis

from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission

from .row import Contender, Row, say
from .samples import Limit, Ratio
from .workbench import USER, NotMeasured, Workbench, until

CALLS = 1_000_000


def _turns(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    client = bench.client()
    stack.enter_context(bench.workers())
    turns = bench.effort.turns

    def tracked() -> float:
        return float(_ended(client, "tracked-loop", {"turns": turns}).result)

    return {
        "track()": tracked,
        "tqdm": lambda: float(bench.peer("tqdm", "loops", "tqdm", turns)),
        "bare loop": lambda: float(bench.peer("tqdm", "loops", "bare", turns)),
    }


def _ended(client: Client, job_type: str, params: dict[str, Any]) -> Job:
    job = client.submit(Submission(client.catalogue.find(job_type), params, USER)).job
    until(lambda: client.find(job.job_id).status.terminal, f"the end of {job_type}", pause=0.2)
    ended = client.find(job.job_id)
    if ended.error:
        raise NotMeasured(f"{job_type}: {ended.error}")
    return ended


def _commands(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    client = bench.client()
    stack.enter_context(bench.workers())
    # After the first job the workers are ready.
    _ended(client, "noop", {})
    return {"workhorse": partial(_commands_of_reports, bench, client)}


def _commands_of_reports(bench: Workbench, client: Client) -> float:
    """Return the broker commands per second while a function reports progress, including those of idle workers."""
    heard: list[tuple[float, str]] = []
    with tempfile.TemporaryDirectory() as folder, bench.connection().monitor() as monitor:
        done = Path(folder) / "done"
        os.mkfifo(done)
        threading.Thread(target=_listen, args=(monitor, heard), daemon=True).start()
        params = {"calls": min(CALLS, bench.effort.turns), "path": str(done)}
        job = client.submit(Submission(client.catalogue.find("many-reports"), params, USER)).job
        # No polling, which would add commands: the function itself signals its end.
        done.read_bytes()
        until(lambda: client.find(job.job_id).status.terminal, "the end of many-reports", pause=0.2)
    began, ended = client.find(job.job_id).result
    commands = Counter(name for at, name in heard if began <= at <= ended)
    say(f"  {params['calls']:,} calls in {ended - began:.2f} s: {dict(commands)}")
    return commands.total() / float(ended - began)


def _listen(monitor: Any, heard: list[tuple[float, str]]) -> None:
    """Collect every command that a client sends, but not those inside a script."""
    try:
        entries = (entry for entry in monitor.listen() if entry["client_type"] != "lua")
        heard.extend((entry["time"], entry["command"].split(" ", 1)[0]) for entry in entries)
    except (redis.ConnectionError, OSError, ValueError, AttributeError):
        return  # the monitor was closed at the end of the row


ROWS = (
    Row(
        "track",
        "a turn of an empty loop",
        "ns",
        (Ratio("track()", "tqdm", "a turn of track() over range(10_000_000) against tqdm's", at_most=1.0),),
        _turns,
        peers=("tqdm",),
    ),
    Row(
        "reports",
        "broker commands per second of 1,000,000 progress calls",
        "commands/s",
        (Limit("workhorse", "broker commands of 1,000,000 progress calls in one second", at_most=20.0),),
        _commands,
    ),
)
