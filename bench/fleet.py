"""Rows about the broker's part: its time for each job, and the jobs that a fleet of workers gets out of one broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission

from . import many_workers
from .backlog import LONG_DATABASE, fill, long_queue
from .many_workers import OUTCOME, QUEUES
from .row import Contender, Row, say
from .samples import Limit, Ratio
from .workbench import USER, NotMeasured, Workbench

DATABASE = 6
WORKERS = 64
#: Jobs of one sample for each second of its length.
JOBS_PER_SECOND = 2_500
#: Jobs of one sample of the broker's time, and those before it, which load the library of functions.
STEPS, WARM_UP = 1_000, 10
#: The states of the broker in which the rows measure it.
EMPTY, STORED = "empty broker", "1,000,000 jobs stored"


@dataclass(frozen=True)
class _Target:
    """A database of a broker, with one user's jobs."""

    bench: Workbench
    database: int
    #: Returns a client of the database, whose state is the one that the row names.
    client: Callable[[], Client]
    user: str = USER


def _targets(bench: Workbench, stack: ExitStack) -> dict[str, _Target]:
    """Start a broker for this row alone, and make the long queue in the one that all rows share."""
    own = stack.enter_context(Workbench(bench.effort))
    long = long_queue(bench)
    return {
        EMPTY: _Target(own, DATABASE, partial(own.client, DATABASE)),
        STORED: _Target(bench, LONG_DATABASE, lambda: long.client, long.user),
    }


# --- a fleet ---------------------------------------------------------------------------------


def _fleet(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    return {name: partial(_rates, target) for name, target in _targets(bench, stack).items()}


def _rates(target: _Target) -> dict[str, float]:
    """Return the jobs that the workers finish in a second, and in a second of the CPU time of the broker's main thread.

    The two are equal if the broker has a core for itself, and nothing but the broker limits the workers. As many jobs
    are submitted before, so that the queue keeps its length.
    """
    jobs, client = int(target.bench.effort.seconds * JOBS_PER_SECOND), target.client()
    fill(client, jobs, target.user)
    completed = _completed(client)
    used, began = _microseconds_of_processor(client), time.perf_counter()
    done = many_workers.work(target.bench.settings.broker_socket, target.database, WORKERS, jobs)
    seconds = time.perf_counter() - began
    used = (_microseconds_of_processor(client) - used) / 1e6
    completed = _completed(client) - completed
    if not done == completed == jobs:
        raise NotMeasured(f"completed {completed} of {jobs} jobs")
    say(f"  {1e6 * used / jobs:.0f} µs of the broker's CPU time for a job, {used / seconds:.0%} of a core")
    return {"observed": jobs / seconds, "in a second of the broker's CPU": jobs / used}


def _completed(client: Client) -> int:
    return int(client.store.connection.zcard("rq:finished:default"))


# --- the broker's time ---------------------------------------------------------------------------


def _steps(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    return {name: partial(_times, target) for name, target in _targets(bench, stack).items()}


def _times(target: _Target) -> dict[str, float]:
    """Return the broker's microseconds in scripts and on the CPU for a job that is submitted, claimed and finished."""
    client = target.client()
    _run(client, target.user, WARM_UP)
    scripts, processor = _microseconds_in_scripts(client), _microseconds_of_processor(client)
    _run(client, target.user, STEPS)
    return {
        "in scripts": (_microseconds_in_scripts(client) - scripts) / STEPS,
        "CPU": (_microseconds_of_processor(client) - processor) / STEPS,
    }


def _run(client: Client, user: str, jobs: int) -> None:
    """Submit jobs one after the other, and then claim and finish as many."""
    noop = client.catalogue.find("noop")
    for _ in range(jobs):
        client.submit(Submission(noop, {}, user))
    _work(client.store, f"bench-{uuid4().hex[:8]}", jobs)


def _work(store: Store, worker: str, jobs: int) -> None:
    claim = store.claim(worker, f"{worker}-0", QUEUES)
    for number in range(1, jobs + 1):
        if not isinstance(claim, Claim):
            raise NotMeasured(f"claimed {claim}")
        following = f"{worker}-{number}" if number < jobs else None
        ended, claim = store.finish_and_claim(
            claim.job_id, claim.execution, worker, OUTCOME, claim_next=following, queues=QUEUES
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
                f"{EMPTY}, observed",
                "jobs/s through one empty broker: claim and finish, without running them",
                at_least=3_000,
                headline=True,
            ),
            Limit(
                f"{STORED}, observed",
                "jobs/s through one broker with 1,000,000 jobs stored: claim and finish, without running them",
                at_least=3_000,
            ),
            Ratio(
                f"{EMPTY}, observed",
                f"{EMPTY}, in a second of the broker's CPU",
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
        (
            Limit(
                f"{EMPTY}, in scripts",
                "an empty broker's time in scripts for each no-op job, µs",
                at_most=400,
                headline=True,
            ),
            Limit(
                f"{STORED}, in scripts",
                "a broker's time in scripts for each no-op job, with 1,000,000 jobs stored, µs",
                at_most=400,
            ),
        ),
        _steps,
    ),
)
