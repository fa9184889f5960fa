"""Rows about the broker's part: its time for each job, and the jobs that a fleet of workers gets out of one broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission

from . import many_workers
from .backlog import fill
from .many_workers import OUTCOME, QUEUES
from .row import Contender, Row, say
from .samples import Limit, Ratio
from .workbench import USER, NotMeasured, Workbench

DATABASE = 6
WORKERS = 64
#: Jobs of one sample for each second of its length.
JOBS_PER_SECOND = 2_500
#: Jobs of one sample of the broker's time.
STEPS = 1_000


# --- a fleet ---------------------------------------------------------------------------------


def _fleet(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return {f"{WORKERS} workers": partial(_rates, bench)}


def _rates(bench: Workbench) -> dict[str, float]:
    """Return the jobs that the workers finish in a second, and in a second of the CPU time of the broker's main thread.

    The two are equal if the broker has a core for itself, and nothing but the broker limits the workers.
    """
    jobs = int(bench.effort.seconds * JOBS_PER_SECOND)
    client = bench.client(DATABASE)
    fill(client, jobs)
    used, began = _microseconds_of_processor(client), time.perf_counter()
    done = many_workers.work(bench.settings.broker_socket, DATABASE, WORKERS)
    seconds = time.perf_counter() - began
    used = (_microseconds_of_processor(client) - used) / 1e6
    completed = int(client.store.connection.zcard("rq:finished:default"))
    if not done == completed == jobs:
        raise NotMeasured(f"completed {completed} of {jobs} jobs")
    say(f"  {1e6 * used / jobs:.0f} µs of the broker's CPU time for a job, {used / seconds:.0%} of a core")
    return {"observed": jobs / seconds, "in a second of the broker's CPU": jobs / used}


# --- the broker's time ---------------------------------------------------------------------------


def _steps(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return {"scripts": partial(_time_in_scripts, bench), "CPU": partial(_time_of_processor, bench)}


def _time_in_scripts(bench: Workbench) -> float:
    return _for_each_job(bench, _microseconds_in_scripts)


def _time_of_processor(bench: Workbench) -> float:
    return _for_each_job(bench, _microseconds_of_processor)


def _for_each_job(bench: Workbench, read: Callable[[Client], float]) -> float:
    """Return the broker's microseconds for a job that is submitted, claimed and finished."""
    client = bench.client(DATABASE)
    _run(client, 1)
    before = read(client)
    _run(client, STEPS)
    return (read(client) - before) / STEPS


def _run(client: Client, jobs: int) -> None:
    noop = client.catalogue.find("noop")
    for _ in range(jobs):
        client.submit(Submission(noop, {}, USER))
    _work(client.store, "bench")


def _work(store: Store, worker: str) -> None:
    """Claim and finish jobs until the queues are empty."""
    claim, done = store.claim(worker, f"{worker}-0", QUEUES), 0
    while isinstance(claim, Claim):
        done += 1
        ended, claim = store.finish_and_claim(
            claim.job_id, claim.execution, worker, OUTCOME, claim_next=f"{worker}-{done}", queues=QUEUES
        )
        if ended is not OutcomeKind.COMPLETED:
            raise NotMeasured(f"finished as {ended}")


def _microseconds_in_scripts(client: Client) -> float:
    commands: Any = client.store.connection.info("commandstats")
    calls = ("cmdstat_fcall", "cmdstat_evalsha")
    return float(sum(commands[name]["usec"] for name in calls if name in commands))


def _microseconds_of_processor(client: Client) -> float:
    used: Any = client.store.connection.info("cpu")
    return 1e6 * float(used["used_cpu_user_main_thread"] + used["used_cpu_sys_main_thread"])


ROWS = (
    Row(
        "fleet",
        f"jobs per second through one broker, {WORKERS} workers that run nothing",
        "jobs/s",
        (
            Limit(
                f"{WORKERS} workers, observed",
                "jobs/s through one broker: claim and finish, without running them",
                at_least=3_000,
                headline=True,
            ),
            Ratio(
                f"{WORKERS} workers, observed",
                f"{WORKERS} workers, in a second of the broker's CPU",
                "the broker's share of a core meanwhile",
                at_least=0.8,
            ),
        ),
        _fleet,
    ),
    Row(
        "broker",
        "the broker's time for a no-op job: submit, claim and finish",
        "µs",
        (Limit("scripts", "the broker's time in scripts for each no-op job, µs", at_most=400, headline=True),),
        _steps,
    ),
)
