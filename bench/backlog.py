"""Rows about a million pending jobs: the rate of claims, the time for a page of the list, and the broker's memory."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from urllib.parse import quote
from uuid import uuid4

import redis

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.verdicts import SubmitVerdict
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission, described

from .http_load import load, request
from .queue_workers import StockRQ
from .row import Contender, Row, say
from .samples import Limit, Ratio
from .server import caller, serve
from .workbench import NO_LIMIT, USER, NotMeasured, Workbench, until

EMPTY_DATABASE, LONG_DATABASE, MEMORY_DATABASE = 7, 8, 9
#: The number of jobs in each submission that fills a queue.
BATCH = 500
#: The number of jobs that one sample claims and finishes.
CLAIMED = 500
PAGE_LOAD_SECONDS = 5.0


def fill(client: Client, jobs: int, user: str = USER) -> None:
    """Submit no-op jobs, many at once. Their records are the same as those of single submissions."""
    noop = client.catalogue.find("noop")
    for first in range(0, jobs, BATCH):
        store(client, [Submission(noop, {}, user) for _ in range(min(BATCH, jobs - first))], user)


def store(client: Client, submissions: list[Submission], user: str) -> str:
    """Store one user's jobs in one step. Return the id of the first."""
    jobs = [described(each, client.settings) for each in submissions]
    reply = client.store.submit({"user": user, "known_user": True, "limit": NO_LIMIT}, jobs)
    if reply.verdict is not SubmitVerdict.STORED:
        raise NotMeasured(f"filling the queue: {reply.verdict}")
    return str(jobs[0][0]["id"])


@dataclass(frozen=True)
class LongQueue:
    client: Client
    user: str
    #: The headers of the user's requests.
    headers: dict[str, str]
    #: The times before the first and after the last submission, in seconds since 1970.
    submitted: tuple[float, float]


@lru_cache(maxsize=1)
def long_queue(bench: Workbench) -> LongQueue:
    """Make the long queue of one user's pending jobs, once for all rows."""
    client = bench.client(LONG_DATABASE)
    # The append-only file grows so fast that it would be rewritten all the time.
    client.store.connection.config_set("auto-aof-rewrite-percentage", 0)
    user, headers = caller(bench, LONG_DATABASE)
    say(f"  submitting {bench.effort.backlog:,} jobs ...")
    began = time.time()
    fill(client, bench.effort.backlog, user)
    return LongQueue(client, user, headers, (began, time.time()))


# --- claims ----------------------------------------------------------------------------


def _claims(bench: Workbench, _stack: ExitStack) -> dict[str, Contender]:
    long = long_queue(bench)
    return {
        "empty queue": partial(_claims_per_second, bench.client(EMPTY_DATABASE), USER),
        "long queue": partial(_claims_per_second, long.client, long.user),
    }


def _claims_per_second(client: Client, user: str) -> float:
    """Claim and finish jobs. As many are submitted before, so that the queue keeps its length."""
    fill(client, CLAIMED, user)
    worker = f"bench-{uuid4().hex[:8]}"
    began = time.perf_counter()
    for execution in range(CLAIMED):
        claim = client.store.claim(worker, f"{worker}-{execution}", ("high", "default", "low"))
        if not isinstance(claim, Claim):
            raise NotMeasured(f"claimed {claim}")
        ended = client.store.finish(claim.job_id, claim.execution, worker, Outcome(OutcomeKind.COMPLETED))
        if ended != "completed":
            raise NotMeasured(f"finished as {ended}")
    return CLAIMED / (time.perf_counter() - began)


# --- pages -----------------------------------------------------------------------------


def _pages(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    long = long_queue(bench)
    port = serve(bench, stack, LONG_DATABASE)
    moments = _moments(*long.submitted)

    def next_page() -> bytes:
        return request("GET", f"/api/v1/jobs?limit=50&created_before={quote(next(moments))}", long.headers)

    def p99() -> float:
        outcome = load(port, next_page, min(bench.effort.seconds, PAGE_LOAD_SECONDS), expected=200, connections=1)
        return 1_000 * sorted(outcome.latencies)[int(0.99 * outcome.requests)]

    return {"workhorse": p99}


def _moments(first: float, last: float) -> Iterator[str]:
    """Yield times for `created_before`: alternately now, for the first page, and at random in the list."""
    while True:
        yield datetime.now(UTC).isoformat()
        yield datetime.fromtimestamp(random.uniform(first, last), UTC).isoformat()


# --- memory ----------------------------------------------------------------------------


def _memory(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    jobs = min(bench.effort.backlog, 100_000)
    client = bench.client(MEMORY_DATABASE)
    stack.callback(client.store.connection.flushdb)

    def ours() -> float:
        before = _used(bench.client(MEMORY_DATABASE).store.connection)
        fill(client, jobs)
        return (_used(client.store.connection) - before) / jobs

    def stock() -> float:
        worker = StockRQ(bench)
        connection = bench.connection(worker.database)
        connection.flushdb()
        before = _used(connection)
        worker.fill(jobs // 10)
        return (_used(connection) - before) / (jobs // 10)

    return {"workhorse": ours, "rq": stock}


def _used(connection: redis.Redis) -> int:
    """Return the bytes that the broker uses, without its buffers."""
    # The broker frees an emptied database in the background.
    until(lambda: connection.info("memory")["lazyfree_pending_objects"] == 0, "the broker to free what was deleted")
    memory = connection.info("memory")
    return int(memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"])


ROWS = (
    Row(
        "claims",
        "claim and finish, with a long queue and an empty one",
        "jobs/s",
        (
            Ratio(
                "long queue",
                "empty queue",
                "claim + finish per second, 1,000,000 pending against none",
                at_least=0.9,
            ),
        ),
        _claims,
    ),
    Row(
        "page",
        "a page of 50 of a user's 1,000,000 jobs over HTTP, p99",
        "ms",
        (Limit("workhorse", "a page of 50 of a user's jobs with 1,000,000 stored, p99, ms", at_most=20.0),),
        _pages,
    ),
    Row(
        "memory",
        "memory in the broker per pending no-op job",
        "bytes",
        (Limit("workhorse", "memory in the broker per pending no-op job, bytes", at_most=1024.0),),
        _memory,
        peers=("rq",),
    ),
)
