"""Rows about workers: no-op jobs per second, and the time from a submission to the function's first line."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from statistics import median

from .queue_workers import (
    HEAP_MEGABYTES,
    Celery,
    DefaultWorkhorse,
    Huey,
    LoadedRQ,
    QueueWorker,
    SimpleRQ,
    StockRQ,
    TimedWorker,
    Workhorse,
)
from .row import Contender, Row
from .samples import Ratio
from .workbench import NotMeasured, Workbench, until

#: The seconds that a worker runs before the measurement, while its caches fill.
WARM_UP_SECONDS = 1.0
#: The number of jobs that a contender may have taken from the queue and not ended.
IN_FLIGHT = 16
LOOK_SECONDS = 0.01


def per_second(worker: QueueWorker) -> float:
    """Fill the queue, start the worker, and measure how fast the queue gets shorter."""
    seconds = worker.bench.effort.seconds
    jobs = int(worker.guess * (seconds + WARM_UP_SECONDS) * 1.25) + 50
    worker.fill(jobs)
    with worker.running():
        until(lambda: worker.waiting() < jobs, "the first job to be taken", pause=LOOK_SECONDS)
        time.sleep(WARM_UP_SECONDS)
        began, first = time.perf_counter(), worker.waiting()
        elapsed, last = 0.0, first
        while last > IN_FLIGHT and elapsed < seconds:
            time.sleep(LOOK_SECONDS)
            elapsed, last = time.perf_counter() - began, worker.waiting()
        _must_have_completed(worker, jobs - last - IN_FLIGHT)
    if first <= IN_FLIGHT:
        # It was so much faster than expected that no jobs were left to count.
        worker.guess *= 2
        return per_second(worker)
    worker.guess = (first - last) / elapsed
    return worker.guess


def _must_have_completed(worker: QueueWorker, jobs: int) -> None:
    """Check that the jobs that were taken from the queue have results."""
    until(lambda: worker.completed() >= jobs, f"{jobs} results of {type(worker).__name__}", seconds=10)


def _rates(**workers: QueueWorker) -> dict[str, Contender]:
    return {name.replace("_", " "): partial(per_second, worker) for name, worker in workers.items()}


def _one_worker(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return _rates(
        workhorse=Workhorse(bench),
        rq=StockRQ(bench),
        rq_SimpleWorker=SimpleRQ(bench),
        celery=Celery(bench),
        huey=Huey(bench),
    )


def _default(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return _rates(workhorse=DefaultWorkhorse(bench), lean=Workhorse(bench), rq=LoadedRQ(bench))


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
                "workhorse", "celery", "no-op jobs/s, one worker, against Celery prefork with one child", at_least=1.0
            ),
        ),
        _one_worker,
    ),
    Row(
        "default",
        "no-op jobs, one worker of the default installation",
        "jobs/s",
        (
            Ratio(
                "workhorse",
                "rq",
                "no-op jobs/s, default installation, against stock rq.Worker with the same modules imported",
                at_least=5.0,
            ),
            Ratio(
                "workhorse",
                "lean",
                "no-op jobs/s, default installation, against a worker with no other job types",
                at_least=0.9,
            ),
        ),
        _default,
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
        (Ratio("workhorse", "rq", "time to the function's first line, idle, against stock rq.Worker", at_most=0.5),),
        _idle,
    ),
)
