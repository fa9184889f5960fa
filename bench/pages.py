"""Measure how long each page takes when very many jobs are stored.

    python -m bench.pages [--jobs 100000] [--times 30]

The script starts a broker and one web process. The jobs belong to the administrator, who requests the pages. Half of
the jobs are pending, and the others have ended in every way. The exit code is 1 if a page took longer than allowed.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.pipelines import Step, submit_pipeline
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings

from .backlog import BATCH, store
from .streams import start_web
from .workbench import NO_LIMIT, free_port

USER = "admin"
WANTED_MILLISECONDS = 200.0
QUEUES = ("high", "default", "low")
SCHEDULES, KEYS, STEPS, BATCH_SIZE = 20, 20, 10, 1_000
TAGS = ("spring", "summer", "autumn", "winter")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=30, help="how often each page is requested")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), port=free_port(), redis_url=None, max_active_jobs_per_user=NO_LIMIT)
        with EmbeddedBroker(settings):
            return measure(settings, chosen.jobs, chosen.times)


def measure(settings: Settings, jobs: int, times: int) -> int:
    connection = connect(settings)
    accounts = Accounts(connection, settings)
    accounts.ensure_admin()
    client = Client(connection, settings, Catalogue.discover(settings.job_packages))
    web, _process = start_web(settings, 10)
    try:
        addresses = dict(fill(client, accounts, jobs))
        browser = Browser(settings.port, accounts.sign_in.issue_link(USER))
        taken = {name: [browser.milliseconds(address) for _ in range(times)] for name, address in addresses.items()}
    finally:
        web.terminate()
        web.wait()
    print(f"{jobs:,} jobs stored; milliseconds, each page {times} times\n")
    print("| page | median | longest |\n|---|---:|---:|")
    for name, each in taken.items():
        print(f"| {name} | {statistics.median(each):.0f} | {max(each):.0f} |")
    return int(max(map(max, taken.values())) > WANTED_MILLISECONDS)


def fill(client: Client, accounts: Accounts, jobs: int) -> Iterator[tuple[str, str]]:
    """Store the jobs. Yield the name and the address of each page."""
    began = datetime.now(UTC)
    pending = [submit(client, place) for place in range(0, jobs, BATCH)][-1]
    ended = {how: end(client, how, share) for how, share in endings(jobs)}
    middle = began + (datetime.now(UTC) - began) / 4
    clean_up = client.catalogue.find("clean-up")
    batch, _ = submit_batch(
        client, NewGroup("batch", USER, admin=True), [Submission(clean_up, {}, USER) for _ in range(BATCH_SIZE)]
    )
    pipeline, _ = submit_pipeline(client, [Step(clean_up, {})] * STEPS, USER, admin=True)
    for _ in range(SCHEDULES):
        Schedules(client).create(USER, Plan("clean-up", {}, "0 3 * * *"), admin=True)
    for number in range(KEYS):
        accounts.create_key(USER, f"key {number}")

    yield "catalogue", "/"
    yield "form of a job type", "/submit/process-image"
    yield "jobs", "/jobs"
    for status in ("pending", "completed", "failed", "cancelled"):
        yield f"jobs, {status}", f"/jobs?status={status}"
    yield "jobs of a type", "/jobs?job_type=update-analytics"
    yield "jobs of a type that has none", "/jobs?job_type=process-image"
    yield "jobs with a tag", "/jobs?tag=winter"
    yield "jobs with a tag that one in 10,000 has", "/jobs?tag=rare"
    yield "jobs before a time", f"/jobs?created_before={quote(middle.isoformat())}"
    yield "jobs after tomorrow", f"/jobs?created_after={quote((began + timedelta(days=1)).isoformat())}"
    yield "a job that waits", f"/jobs/{pending}"
    yield from ((f"a job that has {how}", f"/jobs/{job_id}") for how, job_id in ended.items())
    yield f"a batch of {BATCH_SIZE:,}", f"/batches/{batch}"
    yield f"a pipeline of {STEPS}", f"/pipelines/{pipeline}"
    yield f"{SCHEDULES} schedules", "/schedules"
    yield f"{KEYS} keys", "/keys"
    yield "overview", "/overview"
    yield "overview's charts", "/overview/trends.json"
    yield "audit log", "/audit"
    yield "metrics", "/metrics"
    yield "API documentation", "/docs"
    yield "rq-dashboard", "/dashboard/"
    yield "rq-dashboard, its queues", "/dashboard/0/data/queues.json"
    yield "rq-dashboard, a queue's jobs", "/dashboard/0/data/jobs/default/queued/10/asc/1.json"
    yield "rq-dashboard, what failed", "/dashboard/0/data/jobs/default/failed/10/dsc/1.json"


def submit(client: Client, place: int) -> str:
    """Submit some tagged jobs of two types. Return the id of one."""
    submissions = []
    for number in range(place, place + BATCH):
        job_type = client.catalogue.find("clean-up" if number % 2 else "update-analytics")
        tags = (TAGS[number % len(TAGS)], *(["rare"] if number % 10_000 == 0 else []))
        params = {} if number % 2 else {"event": "visit"}
        submissions.append(Submission(job_type, params, USER, tags=tags))
    return store(client, submissions, USER)


def endings(jobs: int) -> list[tuple[str, int]]:
    return [("completed", jobs * 4 // 10), ("failed", jobs // 20), ("cancelled", jobs // 20)]


def end(client: Client, how: str, count: int) -> str:
    """End `count` pending jobs in this way. Return the id of the last."""
    outcome = Outcome(OutcomeKind(how), "The well is dry.", "ValueError", result="bnVsbA==")
    job_id = ""
    for number in range(count):
        claim = client.store.claim("bench", f"{how}-{number}", QUEUES)
        if not isinstance(claim, Claim):
            raise SystemExit(f"Claimed {claim}.")
        client.store.report(claim.job_id, claim.execution, progress={"progress": random.random() * 100})
        client.store.finish(claim.job_id, claim.execution, "bench", outcome)
        job_id = claim.job_id
    return job_id


class Browser:
    """Requests pages with the session of a sign-in link."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("GET", f"/sign-in?token={token}")
        answer = self._connection.getresponse()
        answer.read()
        cookies = re.findall(r"(?m)^set-cookie: ([^;]+)", str(answer.headers), re.IGNORECASE)
        self._headers = {"Cookie": "; ".join(cookies), "Accept": "text/html"}

    def milliseconds(self, address: str) -> float:
        began = time.perf_counter()
        self._connection.request("GET", address, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        taken = time.perf_counter() - began
        if answer.status != 200:
            raise SystemExit(f"{address} returned {answer.status}.")
        return taken * 1_000


if __name__ == "__main__":
    sys.exit(main())
