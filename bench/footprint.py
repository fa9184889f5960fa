"""Rows about whole systems: their memory, the CPU time for a job, the time to start, and the CPU while idle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from jobs.engine.client.submission import Submission

from . import systems
from .http_load import load, request
from .instance import instance, own_environment
from .queue_workers import DefaultWorkers
from .row import Contender, Row
from .samples import Limit
from .server import call
from .systems import BODY, System
from .usage import cpu_seconds, pss_mebibytes
from .workbench import USER, Workbench, until

#: The workers of the systems whose memory is measured.
WORKERS = 2
#: The seconds until a new system is idle.
SETTLING_SECONDS = 3.0
#: The seconds of load during which the memory of a busy system is measured.
BUSY_SECONDS = 3.0
LONGEST_LOAD_SECONDS = 10.0
LOOK_SECONDS = 0.3
#: The training data of a job that needs scikit-learn.
TEXTS, EPOCHS = 200, 1_000
#: An idle system is watched for so many seconds for each second of a rate: a minute in a full run.
IDLE_SECONDS_FOR_EACH = 15

SYSTEMS: Mapping[str, systems.Start] = {
    "workhorse": systems.workhorse,
    "Flask + RQ": systems.flask_and_rq,
    "Flask + Celery": systems.flask_and_celery,
}


# --- CPU time for a job ----------------------------------------------------------------


def _cpu(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return {name: partial(_milliseconds_per_job, bench, start) for name, start in SYSTEMS.items()}


def _milliseconds_per_job(bench: Workbench, start: systems.Start) -> dict[str, float]:
    """Return the CPU time of each process for one job, from the request to the stored result, and the sum."""
    jobs = bench.effort.submissions * 10
    with systems.running(start, bench, 1) as system:
        before = system.cpu()
        system.run(jobs)
        after = system.cpu()
    return per_job(before, after, jobs)


def per_job(before: Mapping[str, float], after: Mapping[str, float], jobs: int) -> dict[str, float]:
    """Return the milliseconds for each job by role, from two readings in seconds, and the sum of all roles."""
    found = {role: 1_000 * (seconds - before.get(role, 0.0)) / jobs for role, seconds in after.items()}
    return {"all processes": sum(found.values()), **found}


# --- memory ----------------------------------------------------------------------------


def _memory(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    loaded = partial(systems.flask_and_rq, with_modules=True)
    return {
        "worker.py": partial(_memory_of_workers, bench),
        "make run": partial(_memory_of_system, bench, systems.workhorse, trains=True),
        "Flask + RQ": partial(_memory_of_system, bench, systems.flask_and_rq),
        "Flask + RQ with the same modules": partial(_memory_of_system, bench, loaded),
        "Flask + Celery": partial(_memory_of_system, bench, systems.flask_and_celery),
    }


def _memory_of_workers(bench: Workbench) -> dict[str, float]:
    worker = DefaultWorkers(bench, workers=WORKERS)
    client, noop = bench.client(worker.database), bench.catalogue.find("noop")
    jobs = int(worker.guess * BUSY_SECONDS)
    with worker.running() as started:
        time.sleep(SETTLING_SECONDS)
        idle = pss_mebibytes([started.pid])
        for _ in range(jobs):
            client.submit(Submission(noop, {}, USER))
        busy = _largest([started.pid], lambda: worker.completed() == jobs)
    return {"idle": idle, "busy": busy}


def _memory_of_system(bench: Workbench, start: systems.Start, *, trains: bool = False) -> dict[str, float]:
    with systems.running(start, bench, WORKERS) as system:
        time.sleep(SETTLING_SECONDS)
        found = {"idle": pss_mebibytes(system.pids)}
        same = request("POST", system.path, system.headers, BODY)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load, system.port, lambda: same, BUSY_SECONDS, expected=202)
            found["busy"] = _largest(system.pids, loading.done)
            loading.result()
        if trains:
            found["training two models"] = _memory_while_training(system)
    return found


def _memory_while_training(system: System) -> float:
    """Return the memory while each worker runs an included job that needs scikit-learn."""
    texts = [f"text number {number}" for number in range(TEXTS)]
    data = {"texts": texts, "labels": ["odd", "even"] * (TEXTS // 2)}
    body = json.dumps({"training_data": data, "epochs": EPOCHS}).encode()
    jobs = [_call(system, "POST", "/api/v1/jobs/train-model?priority=high", body) for _ in range(WORKERS)]

    def statuses() -> set[str]:
        return {str(_call(system, "GET", job["poll_url"])["status"]) for job in jobs}

    until(lambda: statuses() == {"running"}, "two models being trained at the same time")
    return _largest(system.pids, lambda: statuses() != {"running"})


def _call(system: System, method: str, path: str, body: bytes | None = None) -> Any:
    return call(system.port, method, path, system.headers, body)


def _largest(pids: list[int], over: Callable[[], bool]) -> float:
    """Look at the memory until the load is over. Return the largest."""
    largest, deadline = 0.0, time.monotonic() + LONGEST_LOAD_SECONDS
    while time.monotonic() < deadline and not over():
        largest = max(largest, pss_mebibytes(pids))
        time.sleep(LOOK_SECONDS)
    return largest


# --- start and idle --------------------------------------------------------------------


def _start(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    def seconds() -> float:
        with instance(bench, own_environment(bench, WORKERS=str(WORKERS), JOB_PACKAGES="jobs")) as started:
            return started.seconds_to_start

    seconds()  # reads the files, so that the disk is warm
    return {"make run": seconds}


def _idle(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    return {f"WORKERS={number}": partial(_idle_percent, bench, number) for number in (2, 32)}


def _idle_percent(bench: Workbench, workers: int) -> float:
    """Return the CPU time of all processes of an idle instance, in percent of one CPU."""
    environment = own_environment(bench, WORKERS=str(workers), JOB_PACKAGES="jobs")
    with instance(bench, environment) as whole:
        time.sleep(SETTLING_SECONDS + workers / 4)
        began, before = time.perf_counter(), cpu_seconds(whole.started.pid)
        time.sleep(bench.effort.seconds * IDLE_SECONDS_FOR_EACH)
        after = cpu_seconds(whole.started.pid)
        return 100 * (after - before) / (time.perf_counter() - began)


ROWS = (
    Row(
        "cpu",
        "CPU time of one small job, from the HTTP request to the stored result, one worker",
        "ms",
        (),
        _cpu,
        peers=("rq", "celery", "flask"),
    ),
    Row(
        "pss",
        f"memory (PSS) of all processes, WORKERS={WORKERS}; all but worker.py include web and broker",
        "MiB",
        (Limit("worker.py, idle", "memory of `worker.py` with WORKERS=2, idle, MiB", at_most=150.0, headline=True),),
        _memory,
        peers=("rq", "celery", "flask"),
        most_rounds=3,
    ),
    Row(
        "start",
        f"time until `make run` is ready, WORKERS={WORKERS}, warm disk",
        "s",
        (Limit("make run", "time until `make run` is ready, s", at_most=2.0),),
        _start,
    ),
    Row(
        "idle",
        "CPU of `make run` while idle",
        "% of one CPU",
        (
            Limit("WORKERS=2", "CPU of an idle `make run` with WORKERS=2, % of one CPU", at_most=1.0),
            Limit("WORKERS=32", "CPU of an idle `make run` with WORKERS=32, % of one CPU", at_most=3.0),
        ),
        _idle,
        most_rounds=2,
    ),
)
