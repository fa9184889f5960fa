"""Submissions, claims, ends, pauses and bulk actions in any order break no rule, lose no job and leave nothing behind.

Each step is one script, so the random order of the steps stands for every race between processes.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from jobs.engine.broker.store.bulk_steps import BulkOrder
from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from jobs.engine.client.bulk import BULK_ACTION
from jobs.engine.client.job_filter import JobFilter
from jobs.engine.client.submission import Submission
from jobs.engine.errors import WorkhorseError
from jobs.engine.operate.control import Control
from jobs.engine.operate.doctor import Doctor
from jobs.engine.settings import Settings
from jobs.engine.states import Priority
from jobs.engine.worker.retry_decision import Death, after_death
from jobs.engine.worker.scheduler import Scheduler
from tests.integration.harness import JOB_PACKAGES, Harness
from tests.integration.host import COMPLETED, QUEUES, SERVED_SECONDS
from tests.waiting import eventually

STEPS = 300
ABLE = ("high@gpu", "high", "default@gpu", "default", "low@gpu", "low")
USERS = ("alice", "bob")
FAILED = Outcome(OutcomeKind.FAILED, "the well is dry", "ValueError")
RETRYING = Outcome(OutcomeKind.RETRYING, "the well is dry", "ValueError", delay_seconds=0.05)
DEATH = after_death(0, Death("signal SIGKILL"))

#: Values for each parameter of a job type.
TYPES: dict[str, dict[str, str]] = {
    "one-for-each-key": {"path": "/", "key": "ab"},
    "three-a-second": {"path": "/", "key": "ab"},
    "limited-in-three-ways": {"path": "/", "key": "ab"},
    "newest-for-each-key": {"key": "ab", "name": "xy"},
    "once-a-word": {"word": "vw"},
    "until-started": {"word": "vw"},
    "newest-word": {"word": "vw"},
    "soon-or-never": {},
    "on-gpu": {},
    "one-at-a-time-on-gpu": {},
    "noop": {},
}

#: How often each step is taken.
WEIGHTS = {
    "submit": 20,
    "claim": 22,
    "end": 20,
    "cancel": 6,
    "retry": 5,
    "act_on_many": 2,
    "pause": 4,
    "resume": 4,
    "serve": 2,
    "look": 8,
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"), job_packages=("jobs", JOB_PACKAGES), workers=1)


class World:
    """Workers, users and operators, who do something at random."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.random = Random(seed)
        self.user_limit = self.random.choice((0, 1, 2))
        self.client, self.catalogue, self.connection = harness.client, harness.catalogue, harness.connection
        self.store = Store(harness.connection, max_running_per_user=self.user_limit)
        self.control, self.scheduler = Control(self.store), Scheduler(self.store)
        self.ids: list[str] = []
        self.held: list[Claim] = []
        self.paused: set[str] = set()
        self.claims = 0
        self.announce(able=True)

    def step(self) -> None:
        name = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        getattr(self, name)()

    def submit(self) -> None:
        name = self.random.choice(list(TYPES))
        params = {each: self.random.choice(values) for each, values in TYPES[name].items()}
        options: dict[str, Any] = {
            "priority": self.random.choice((None, None, *Priority)),
            "delay_seconds": self.random.choice((None, None, None, 0.05)),
            "start_within_seconds": self.random.choice((None, None, None, 0.05, 60.0)),
            "unique_key": self.random.choice((None, None, None, "k")),
        }
        if self.ids and self.random.random() < 0.1:
            options |= {"depends_on": (self.random.choice(self.ids),), "admin": True}
        submission = Submission(self.catalogue.find(name), params, self.random.choice(USERS), **options)
        with suppress(WorkhorseError):
            submitted = self.client.submit(submission)
            self.ids += [] if submitted.deduplicated else [submitted.job.job_id]

    def claim(self) -> bool:
        self.claims += 1
        queues = self.random.choice((QUEUES, ABLE))
        claim = self.store.claim(f"host-{self.claims}", f"execution-{self.claims}", queues)
        if not isinstance(claim, Claim):
            return False
        name, queue = self.fields(claim.job_id, "type", "origin")
        assert not self.paused & {name, queue, queue.partition("@")[0]}
        self.held.append(claim)
        return True

    def end(self) -> None:
        if self.held:
            claim = self.held.pop(self.random.randrange(len(self.held)))
            outcome = self.random.choice((COMPLETED, COMPLETED, FAILED, RETRYING, DEATH))
            self.store.finish(claim.job_id, claim.execution, "", outcome)

    def cancel(self) -> None:
        with suppress(WorkhorseError, IndexError):
            self.client.cancel(self.random.choice(self.ids))

    def retry(self) -> None:
        with suppress(WorkhorseError, IndexError):
            self.client.retry(self.random.choice(self.ids))

    def act_on_many(self) -> None:
        action, chosen = self.random.choice(("cancel", "retry", "delete")), self.random.choice(list(TYPES))
        params = {"action": action, "filter": {"job_type": chosen}}
        job = self.client.submit(Submission(self.catalogue.find(BULK_ACTION), params, "alice")).job
        assert job.created_at
        self.ids.append(job.job_id)
        condition = JobFilter(job_type=chosen)
        order = BulkOrder(job.job_id, "alice", action, condition.for_script(), condition.highest(job.created_at), 1_000)
        self.store.bulk.step(order, "alice")

    def pause(self) -> None:
        subject = self.random.choice((*QUEUES, *TYPES))
        self.paused.add(subject)
        (self.control.pause_queue if subject in QUEUES else self.control.pause_job_type)(subject, None, None, None)

    def resume(self) -> None:
        if self.paused:
            subject = self.random.choice(sorted(self.paused))
            self.paused.remove(subject)
            (self.control.resume_queue if subject in QUEUES else self.control.resume_job_type)(subject)

    def serve(self) -> None:
        self.announce(able=self.random.random() < 0.5)

    def announce(self, *, able: bool) -> None:
        self.store.announce("host", (), QUEUES, SERVED_SECONDS)
        if able:
            self.store.announce("able", ("gpu",), ABLE, SERVED_SECONDS)
        else:
            self.connection.delete(*(f"wh:served:{queue}" for queue in ABLE if "@" in queue))

    def look(self) -> None:
        for chore in (self.scheduler.promote, self.scheduler.end_late, self.scheduler.make_room, self.scheduler.sweep):
            chore()

    # --- the rules --------------------------------------------------------------------------

    def check(self) -> None:
        """Check that no limit is exceeded, and that no unique key has two unfinished jobs."""
        running: Counter[tuple[str, int]] = Counter()
        for claim in self.held:
            name, user, most, limits = self.fields(claim.job_id, "type", "user", "max_running", "limits")
            running.update([(f"type:{name}", int(most))] if most else [])
            running.update([(f"user:{user}", self.user_limit)] if self.user_limit and name != BULK_ACTION else [])
            running.update((limit, count) for limit, count, period, _key in json.loads(limits or "[]") if not period)
        assert [each for each, count in running.items() if count > each[1]] == []

        keys: Counter[str] = Counter()
        for job_id in self.ids:
            unique, until, status, attempt = self.fields(job_id, "unique", "unique_until", "status", "attempt")
            unfinished = status in ("queued", "deferred", "scheduled", "started")
            keys.update([unique] if unique and unfinished and not (until == "start" and attempt) else [])
        assert [key for key, count in keys.items() if count > 1] == []

    def finish_everything(self) -> None:
        """Let every job end, as they do once nothing is paused and all queues are served."""
        while self.paused:
            self.resume()
        self.announce(able=True)
        eventually(self.is_finished, "all jobs end")

    def is_finished(self) -> bool:
        self.look()
        while self.claim() or self.held:
            for claim in self.held:
                self.store.finish(claim.job_id, claim.execution, "", COMPLETED)
            self.held.clear()
        return not any(self.connection.zcard(f"wh:jobs:{user}:pending") for user in USERS)

    def fields(self, job_id: str, *names: str) -> list[str]:
        found: Any = self.connection.hmget(f"rq:job:{job_id}", names)
        return [(value or b"").decode() for value in found]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_any_order_no_rule_is_broken_and_no_job_is_lost(harness: Harness, seed: int) -> None:
    harness.forget_everything()
    world = World(harness, seed)
    for number in range(STEPS):
        world.step()
        if number % 10 == 0:
            world.check()
    world.finish_everything()

    keys: Any = harness.connection.keys
    forms = ("wh:slots:*", "wh:limited*", "wh:called:*", "wh:unique:*", "wh:start_by", "wh:leases", "wh:control")
    assert [key for form in forms for key in keys(form)] == []
    assert Doctor(world.store).examine() == []
