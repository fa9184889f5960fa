"""Rows about the broker's part: its time for each job, and the jobs that a fleet of workers gets out of one broker.

The workers of the fleet claim and finish jobs in the same steps as real workers, but run nothing. So the broker, which
works in one thread, is what limits them.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.settings import Settings

from .backlog import fill
from .row import Contender, Row
from .samples import Limit
from .workbench import PATIENCE_SECONDS, USER, NotMeasured, Workbench

DATABASE = 6
WORKERS = 4
#: Jobs of one sample for each second of its length.
JOBS_PER_SECOND = 2_500
#: Jobs of one sample of the broker's time.
STEPS = 1_000
QUEUES = ("high", "default", "low")
OUTCOME = Outcome(OutcomeKind.COMPLETED, result="bnVsbA==")


def work(store: Store, worker: str) -> int:
    """Claim and finish jobs until the queues are empty. Return how many."""
    claim = store.claim(worker, f"{worker}-0", QUEUES)
    done = 0
    while isinstance(claim, Claim):
        done += 1
        ended, claim = store.finish_and_claim(
            claim.job_id, claim.execution, worker, OUTCOME, claim_next=f"{worker}-{done}", queues=QUEUES
        )
        if ended is not OutcomeKind.COMPLETED:
            raise NotMeasured(f"finished as {ended}")
    return done


# --- a fleet ---------------------------------------------------------------------------------


def _fleet(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    jobs = int(bench.effort.seconds * JOBS_PER_SECOND)
    return {f"{number} workers": partial(_jobs_per_second, bench, number, jobs) for number in (1, WORKERS)}


def _jobs_per_second(bench: Workbench, workers: int, jobs: int) -> float:
    client = bench.client(DATABASE)
    fill(client, jobs)
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(workers + 1)
    settings = bench.settings.model_copy(update={"redis_url": bench.broker_url(DATABASE)})
    crew = [
        spawn.Process(target=_worker, args=(settings, f"bench-{number}", start), daemon=True)
        for number in range(workers)
    ]
    for each in crew:
        each.start()
    start.wait(PATIENCE_SECONDS)
    began = time.perf_counter()
    for each in crew:
        each.join()
    seconds = time.perf_counter() - began
    completed = int(client.store.connection.zcard("rq:finished:default"))
    if completed != jobs:
        raise NotMeasured(f"completed {completed} of {jobs} jobs")
    return jobs / seconds


def _worker(settings: Settings, name: str, start: Barrier) -> None:
    store = Store(connect(settings))
    start.wait(PATIENCE_SECONDS)
    work(store, name)


# --- the broker's time ---------------------------------------------------------------------------


def _steps(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return {"scripts": partial(_time_in_scripts, bench), "CPU": partial(_time_of_processor, bench)}


def _time_in_scripts(bench: Workbench) -> float:
    return _for_each_job(bench, _microseconds_in_scripts)


def _time_of_processor(bench: Workbench) -> float:
    return _for_each_job(bench, _microseconds_of_processor)


def _for_each_job(bench: Workbench, read: Any) -> float:
    """Return the broker's microseconds for a job that is submitted, claimed and finished."""
    client = bench.client(DATABASE)
    _run(client, 1)
    before = read(client)
    _run(client, STEPS)
    return float(read(client) - before) / STEPS


def _run(client: Client, jobs: int) -> None:
    noop = client.catalogue.find("noop")
    for _ in range(jobs):
        client.submit(Submission(noop, {}, USER))
    work(client.store, "bench")


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
                f"{WORKERS} workers",
                "jobs/s through one broker: claim and finish, without running them",
                at_least=3_000,
                headline=True,
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
