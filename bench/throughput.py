"""Rows about workers: no-op jobs per second, and the time from a submission to the function's first line.

What counts is the results in the broker. The length of a queue would count jobs that a worker has only reserved, as
Celery's does.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil
from statistics import median

from .functions.work import REUSE
from .queue_workers import (
    HEAP_MEGABYTES,
    Celery,
    DefaultWorkhorse,
    Huey,
    LoadedRQ,
    OneTaskPerChild,
    QueueWorker,
    ReusedWorkhorse,
    SimpleRQ,
    StockRQ,
    TimedWorker,
    Workhorse,
)
from .row import Contender, Row
from .samples import Ratio
from .workbench import PATIENCE_SECONDS, NotMeasured, Workbench, until

#: The seconds that a worker runs before the measurement, while its caches fill.
WARM_UP_SECONDS = 1.0
LOOK_SECONDS = 0.01
ONE_TASK_PER_CHILD = "celery, one task per child"
#: A sample takes longer than usual if a contender has fewer results than this.
LEAST_RESULTS = 3


@dataclass(frozen=True)
class Look:
    """The number of results at a time."""

    #: In seconds, of a monotonic clock.
    at: float
    completed: int


def per_second(worker: QueueWorker) -> float:
    """Fill the queue, start the worker, and measure how fast results arrive."""
    seconds = worker.bench.effort.seconds
    jobs = ceil(worker.guess * (worker.starting_seconds + WARM_UP_SECONDS + seconds) * 1.25) + 50
    worker.fill(jobs)
    with worker.running():
        until(worker.completed, f"the first result of {type(worker).__name__}", pause=LOOK_SECONDS)
        time.sleep(WARM_UP_SECONDS)
        looks = _watch(worker, jobs, seconds)
    if looks[-1].completed >= jobs and looks[-1].at - looks[0].at < seconds / 2:
        # It was so much faster than expected that too few jobs were left to count.
        worker.guess *= 2
        return per_second(worker)
    worker.guess = rate(looks)
    return worker.guess


def _watch(worker: QueueWorker, jobs: int, seconds: float) -> list[Look]:
    """Look at the results for so many seconds, or until all jobs have one. Look longer if there are very few."""
    looks = [Look(time.perf_counter(), worker.completed())]
    while (last := looks[-1]).completed < jobs:
        elapsed, results = last.at - looks[0].at, last.completed - looks[0].completed
        if elapsed >= seconds and (results > LEAST_RESULTS or elapsed >= PATIENCE_SECONDS):
            break
        time.sleep(LOOK_SECONDS)
        looks.append(Look(time.perf_counter(), worker.completed()))
    return looks


def rate(looks: list[Look]) -> float:
    """Return the results per second, from the first look that saw a new result to the last one that did.

    Raises:
        NotMeasured: fewer than two looks saw a new result.
    """
    changes = [later for earlier, later in pairwise(looks) if later.completed > earlier.completed]
    if len(changes) < 2:
        raise NotMeasured(f"{looks[-1].completed - looks[0].completed} results in {looks[-1].at - looks[0].at:.1f} s")
    first, last = changes[0], changes[-1]
    return (last.completed - first.completed) / (last.at - first.at)


def _rates(**workers: QueueWorker) -> dict[str, Contender]:
    return {name.replace("_", " "): partial(per_second, worker) for name, worker in workers.items()}


def _one_worker(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return _rates(
        workhorse=Workhorse(bench),
        rq=StockRQ(bench),
        rq_SimpleWorker=SimpleRQ(bench),
        celery=Celery(bench),
        **{ONE_TASK_PER_CHILD: OneTaskPerChild(bench)},
        huey=Huey(bench),
    )


def _default(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return _rates(workhorse=DefaultWorkhorse(bench), lean=Workhorse(bench), rq=LoadedRQ(bench))


def _reuse(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return _rates(workhorse=ReusedWorkhorse(bench), celery=Celery(bench))


def _big_heap(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    workers = Workhorse(bench, heap_megabytes=HEAP_MEGABYTES), StockRQ(bench, heap_megabytes=HEAP_MEGABYTES)
    for worker in workers:
        worker.guess /= 4
    return _rates(workhorse=workers[0], rq=workers[1])


def _two_workers(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    two = Workhorse(bench, workers=2)
    two.guess *= 1.6
    return _rates(one=Workhorse(bench), two=two)


def _idle(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    workers: dict[str, TimedWorker] = {
        "workhorse": Workhorse(bench),
        "rq": StockRQ(bench),
        "rq SimpleWorker": SimpleRQ(bench),
        "celery": Celery(bench),
        "huey": Huey(bench),
    }
    return {name: partial(_median_latency, worker) for name, worker in workers.items()}


def _median_latency(worker: TimedWorker) -> float:
    """Return the median in milliseconds."""
    found = worker.latencies(worker.bench.effort.submissions)
    if not found:
        raise NotMeasured("no latencies")
    return 1_000 * median(found)


ROWS = (
    Row(
        "jobs",
        "no-op jobs, one worker",
        "jobs/s",
        (
            Ratio("workhorse", "rq", "no-op jobs/s, one worker, against stock rq.Worker", at_least=4.0),
            Ratio(
                "workhorse",
                "celery",
                "no-op jobs/s, one worker, against Celery prefork with one child",
                at_least=1.0,
                headline=True,
            ),
            Ratio(
                "workhorse",
                ONE_TASK_PER_CHILD,
                "no-op jobs/s, one worker, against Celery prefork with `worker_max_tasks_per_child=1`",
                at_least=3.0,
                headline=True,
            ),
        ),
        _one_worker,
        peers=("rq", "celery", "huey"),
    ),
    Row(
        "default",
        "no-op jobs, `make run` with one worker and all included job types",
        "jobs/s",
        (
            Ratio(
                "workhorse",
                "rq",
                "no-op jobs/s, default installation, against stock rq.Worker with the same modules imported",
                at_least=5.0,
                headline=True,
            ),
            Ratio(
                "workhorse",
                "lean",
                "no-op jobs/s, default installation, against worker.py with no other job types",
                at_least=0.9,
            ),
        ),
        _default,
        peers=("rq",),
    ),
    Row(
        "reuse",
        f"no-op jobs, one worker, `@job(reuse={REUSE:_})`",
        "jobs/s",
        (
            Ratio(
                "workhorse",
                "celery",
                f"no-op jobs/s, one worker, `@job(reuse={REUSE:_})`, against Celery prefork with one child",
                at_least=1.2,
                headline=True,
            ),
        ),
        _reuse,
        peers=("celery",),
    ),
    Row(
        "heap",
        f"no-op jobs, one worker that holds {HEAP_MEGABYTES} MB",
        "jobs/s",
        (
            Ratio(
                "workhorse",
                "rq",
                f"no-op jobs/s with a {HEAP_MEGABYTES} MB heap, against stock rq.Worker with the same heap",
                at_least=4.0,
            ),
        ),
        _big_heap,
        peers=("rq",),
    ),
    Row(
        "workers",
        "no-op jobs, one worker and two",
        "jobs/s",
        (Ratio("two", "one", "no-op jobs/s, two workers against one", at_least=1.6),),
        _two_workers,
    ),
    Row(
        "latency",
        "time from a submission to the function's first line, idle",
        "ms",
        (
            Ratio(
                "workhorse",
                "rq",
                "time to the function's first line, idle, against stock rq.Worker",
                at_most=0.5,
            ),
        ),
        _idle,
        peers=("rq", "celery", "huey"),
    ),
)
