"""Kill plain `rq.Worker` processes on three queues, and count the jobs that are in no list afterwards.

This shows that the harness detects lost jobs. Of Workhorse, only the broker's configuration is used here.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import cast

import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from .plain import note
from .workload import PRIORITIES
from .world import Server, World, children, family, kill

WORKERS = 3
OPEN_JOBS = 40
#: rq recovers the jobs of dead workers much later (up to 810 s). After this long without a change, none comes soon.
STILL_SECONDS = 8.0

_WORKER = (
    "import sys, redis, bench.chaos.plain; from rq import Worker; from rq.serializers import JSONSerializer; "
    "Worker(sys.argv[2:], connection=redis.Redis(unix_socket_path=sys.argv[1]), serializer=JSONSerializer).work()"
)


def run_stock(seed: int, jobs: int, kills: int) -> int:
    """Kill workers, print the table, and return 0, since plain RQ promises nothing that could be broken."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-stock-"))
    world = World.build(folder, hosts=0, workers=1, web_port=None)
    socket = str(folder / "broker.sock")
    command = [sys.executable, "-c", _WORKER, socket, *PRIORITIES]
    workers = [Server(f"worker-{each}", command, world.environment, folder) for each in range(WORKERS)]
    try:
        world.broker.start()
        time.sleep(1)
        with redis.Redis(unix_socket_path=socket) as connection:
            injected = _work(connection, workers, random.Random(seed), jobs, kills)
            _wait_until_still(connection, workers)
            print(_table(connection, seed, jobs, injected))
    finally:
        for worker in workers:
            worker.end()
        world.end()
        shutil.rmtree(folder)
    return 0


def _work(connection: redis.Redis, workers: list[Server], chance: random.Random, jobs: int, kills: int) -> int:
    """Submit jobs and kill workers by turns. A worker that has run a job is killed at a random moment."""
    queues = [Queue(name, connection=connection, serializer=JSONSerializer) for name in PRIORITIES]
    submitted = injected = 0
    at_work: set[int] = set()
    while submitted < jobs or injected < kills:
        for worker in workers:
            worker.keep_running()
        waiting = sum(queue.count for queue in queues)
        while submitted < jobs and waiting < OPEN_JOBS:
            chance.choice(queues).enqueue(note, submitted, job_id=f"stock-{submitted}", result_ttl=86_400)
            submitted, waiting = submitted + 1, waiting + 1
        # A worker with a horse has started.
        at_work |= {worker.pid for worker in workers if children(worker.pid)}
        time.sleep(chance.uniform(0, 0.02))
        victim = chance.choice(workers)
        if injected < kills * submitted / jobs and victim.running and victim.pid in at_work:
            for pid in family(victim.pid):
                kill(pid)
            injected += 1
    return injected


def _wait_until_still(connection: redis.Redis, workers: list[Server]) -> None:
    last, since = -1, time.monotonic()
    while time.monotonic() - since < STILL_SECONDS:
        now = sum(int(connection.zcard(f"rq:finished:{name}")) for name in PRIORITIES)
        if now != last:
            last, since = now, time.monotonic()
        for worker in workers:
            worker.keep_running()
        time.sleep(0.2)


def _table(connection: redis.Redis, seed: int, jobs: int, injected: int) -> str:
    listed: dict[str, str] = {}
    for name in PRIORITIES:
        for kind, ids in (
            ("queue", connection.lrange(f"rq:queue:{name}", 0, -1)),
            ("intermediate list", connection.lrange(f"rq:queue:{name}:intermediate", 0, -1)),
            ("started registry", connection.zrange(f"rq:wip:{name}", 0, -1)),
        ):
            listed |= {each.decode().split(":")[0]: f"in a {kind}" for each in cast(list[bytes], ids)}
    ends: Counter[str] = Counter()
    for number in range(jobs):
        job = Job.fetch(f"stock-{number}", connection=connection, serializer=JSONSerializer)
        status = str(job.get_status().value)
        open_in = listed.get(job.id, "IN NO LIST: lost")
        ends[status if status in ("finished", "failed") else f"{status}, {open_in}"] += 1
    lines = [f"plain rq.Worker, seed {seed}: {jobs} jobs, {injected} kills -9 of a worker and its horse"]
    return "\n".join(lines + [f"  {count:>6}  {end}" for end, count in sorted(ends.items())])
