"""Expired jobs leave nothing in the broker."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import Harness
from tests.waiting import eventually

#: Keys that stay after all jobs have expired: counters, names, what live workers serve, and keys of users.
LASTING = (
    "rq:queues",
    "rq:workers",
    "rq:worker:",
    "rq:clean_registries",
    "wh:pushed:",
    "wh:popped:",
    "wh:doorbell:",
    "wh:served:",
    "wh:functions",
)
OF_USERS = ("wh:user:", "wh:feed:", "wh:limits:", "wh:metrics", "wh:audit", "wh:trend")


def keys_of_jobs(harness: Harness) -> set[str]:
    keys = {key.decode() for key in harness.connection.scan_iter(count=1000)}
    return {key for key in keys if not key.startswith(LASTING + OF_USERS)}


def test_expired_jobs_leave_no_key(harness: Harness, tmp_path: Path) -> None:
    harness.start_workers()
    harness.use(result_ttl=2, failure_ttl=2)
    jobs = [
        harness.submit("echo", text="hello"),
        harness.submit("fail"),
        harness.submit("talk"),
        harness.submit("flaky", path=str(tmp_path / "flaky")),
        harness.submit("step-by-step", path=str(tmp_path / "steps"), die_at=1),
        harness.submit("walk", path=str(tmp_path / "walk"), rows=2, columns=2, stop_at=[1, 1]),
        harness.submit("noop", options={"delay_seconds": 0.5, "tags": ("a",)}),
    ]
    jobs.append(harness.submit("noop", options={"depends_on": (jobs[1].job_id,)}))
    jobs.append(harness.submit("noop", options={"depends_on": (jobs[0].job_id,)}))
    cancelled = harness.submit("noop", options={"delay_seconds": 60})
    harness.client.cancel(cancelled.job_id)
    for job in jobs:
        harness.ended(job)

    eventually(lambda: not keys_of_jobs(harness), f"every key goes; left: {keys_of_jobs(harness)}", timeout=60)
    assert harness.client.page("alice").jobs == []
