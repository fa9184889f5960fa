"""A row about limits by key: the rate of claims and finishes with 100,000 jobs under 10,000 keys, and with none."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from itertools import count
from uuid import uuid4

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission

from .backlog import BATCH, store
from .row import Contender, Row
from .samples import Ratio
from .workbench import USER, NotMeasured, Workbench

KEYS = 10_000
DATABASES = {"no limits": ("noop", 10), "10,000 keys": ("noop-by-key", 11), "10,000 rates": ("noop-by-rate", 12)}
#: The number of jobs that one sample claims and finishes.
CLAIMED = 2_000
SERVED_SECONDS = 600


def _contenders(bench: Workbench, stack: ExitStack) -> dict[str, Contender]:
    contenders: dict[str, Contender] = {}
    for name, (job_type, database) in DATABASES.items():
        client = bench.client(database)
        stack.callback(client.store.connection.flushdb)
        keys = count()
        _fill(client, job_type, min(bench.effort.backlog, 100_000), keys)
        contenders[name] = partial(_claims_per_second, client, job_type, keys)
    return contenders


def _fill(client: Client, job_type: str, jobs: int, keys: count[int]) -> None:
    kind = client.catalogue.find(job_type)
    for first in range(0, jobs, BATCH):
        size = min(BATCH, jobs - first)
        params = [{"key": next(keys) % KEYS} if kind.parameters.names else {} for _ in range(size)]
        store(client, [Submission(kind, each, USER) for each in params], USER)


def _claims_per_second(client: Client, job_type: str, keys: count[int]) -> float:
    """Claim and finish jobs, each in the round trip of the last one's finish, as a busy worker does."""
    _fill(client, job_type, CLAIMED, keys)
    worker = f"bench-{uuid4().hex[:8]}"
    queues = ("high", "default", "low")
    # Jobs that wait for a limit are called back only to queues that a worker serves.
    client.store.announce(worker, (), queues, SERVED_SECONDS)
    claim = client.store.claim(worker, f"{worker}-0", queues)
    began = time.perf_counter()
    for number in range(1, CLAIMED):
        if not isinstance(claim, Claim):
            raise NotMeasured(f"claimed {claim}")
        ended, claim = client.store.finish_and_claim(
            claim.job_id,
            claim.execution,
            worker,
            Outcome(OutcomeKind.COMPLETED),
            claim_next=f"{worker}-{number}",
            queues=queues,
        )
        if ended != "completed":
            raise NotMeasured(f"finished as {ended}")
    seconds = time.perf_counter() - began
    if isinstance(claim, Claim):
        client.store.finish(claim.job_id, claim.execution, worker, Outcome(OutcomeKind.COMPLETED))
    return (CLAIMED - 1) / seconds


ROWS = (
    Row(
        "keys",
        "claim and finish, with 100,000 jobs under 10,000 keys and with none",
        "jobs/s",
        (Ratio("10,000 keys", "no limits", "claim + finish per second, under 10,000 keys against none", at_least=0.9),),
        _contenders,
    ),
)
