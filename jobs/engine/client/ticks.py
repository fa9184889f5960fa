"""Run the schedules that are due: one job for each tick, on any number of hosts."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import redis

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.schedule_records import DueTick
from jobs.engine.broker.store.verdicts import SubmitVerdict
from jobs.engine.errors import BrokerUnavailable, Unauthenticated, WorkhorseError

from .catch_up import due_ticks
from .refusals import raise_unless_stored
from .schedule import Outcome, Record
from .scheduled_jobs import scheduled_job
from .submission import Submission, described, shared_fields

if TYPE_CHECKING:
    from .client import Client

logger = logging.getLogger("workhorse")

#: Due schedules that are read at once.
AT_ONCE = 100
#: The scheduler has other chores.
LONGEST_PASS_SECONDS = 1.0
RETRY_UNREADABLE_SECONDS = 3_600
INTERNAL = "An internal error occurred; the scheduler's log has the details."
UNREADABLE = "The schedule's record can't be read; delete the schedule and create a new one."


@dataclass(frozen=True)
class Step:
    """A tick that starts a job, as the script that stores the job decides on it. Times are seconds since 1970."""

    id: str
    revision: str
    overlap: str
    due: int
    #: The next tick of the schedule, by which the script sees that no other process has decided.
    tick: int
    following: int
    #: The ticks before it that were missed.
    missed: tuple[int, ...] = ()
    #: It waited for an earlier job to end.
    waited: bool = False


class Ticks:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._records = client.store.schedules

    def run_due(self) -> int:
        """Submit the jobs of the ticks that are due. Return how many this process has submitted.

        Any number of hosts can do this at the same time: one atomic step decides on a tick, stores its job and sets
        the schedule to its next tick. What is not done after LONGEST_PASS_SECONDS is left to the next call.
        """
        end = time.monotonic() + LONGEST_PASS_SECONDS
        submitted, more = 0, True
        while more and time.monotonic() < end:
            with broker_errors():
                now, due = self._records.due(AT_ONCE)
            more = len(due) >= AT_ONCE
            for each in due:
                if time.monotonic() >= end:
                    break
                submitted += self._run(each, datetime.fromtimestamp(now, UTC))
        return submitted

    def _run(self, due: DueTick, now: datetime) -> int:
        """Submit the jobs of one schedule. Whatever is wrong with it is logged, and does not stop the others."""
        try:
            record = Record.read(due.record)
            steps = list(_steps(due, record, now))
        except Exception:
            logger.exception("schedule %s can't be read; it is tried again in an hour", due.schedule_id)
            self._postpone(due)
            return 0
        return sum(self._take(step, record, due.user_id) for step in steps)

    def _take(self, step: Step, record: Record, user_id: str) -> bool:
        """Decide on one tick. Return True if its job was stored."""
        if not step.due:
            self._skip(step, "")
            return False
        try:
            submission = scheduled_job(self._client, record.plan, user_id, admin=record.admin)
            return self._submit(submission, step)
        except BrokerUnavailable:
            raise
        except Unauthenticated:
            logger.info("schedule %s is removed, because user %s has been deleted", step.id, user_id)
            with broker_errors():
                self._records.remove(step.id)
        except WorkhorseError as error:
            line = record.plan.cron
            logger.warning("schedule %s of %s: a tick of %s is refused: %s", step.id, user_id, line, error)
            self._skip(step, Outcome.REFUSED, error.message)
        except redis.RedisError:
            raise
        except Exception:
            logger.exception("schedule %s of %s: a tick is refused", step.id, user_id)
            self._skip(step, Outcome.REFUSED, INTERNAL)
        return False

    def _submit(self, submission: Submission, step: Step) -> bool:
        self._client.check(submission)
        settings = self._client.settings
        shared = shared_fields(submission, settings) | {"run": asdict(step)}
        with broker_errors():
            reply = self._client.store.submit(shared, [described(submission, settings)])
        raise_unless_stored(reply, settings.max_active_jobs_per_user)
        return reply.verdict is SubmitVerdict.STORED

    def _skip(self, step: Step, outcome: str, problem: str = "") -> None:
        with broker_errors():
            self._records.skip_tick(asdict(step), outcome, problem)

    def _postpone(self, due: DueTick) -> None:
        following = due.tick + RETRY_UNREADABLE_SECONDS
        step = Step(due.schedule_id, due.revision, "", due.tick, due.tick, following, waited=due.waited)
        self._skip(step, Outcome.REFUSED, UNREADABLE)


def _steps(due: DueTick, record: Record, now: datetime) -> Iterator[Step]:
    """Yield the decisions to make, in their order. Ticks that were all missed are one step without a due time."""
    plan = record.plan
    step = Step(due.schedule_id, due.revision, plan.overlap, due.tick, due.tick, 0, waited=due.waited)
    if due.waited:
        yield step
        return
    ticks = due_ticks(plan, datetime.fromtimestamp(due.tick, UTC), now)
    starting = [int(each.timestamp()) for each in ticks.starting] or [0]
    missed = tuple(int(each.timestamp()) for each in ticks.missed)
    following = [*starting[1:], int(ticks.following.timestamp())]
    for tick, then in zip(starting, following, strict=True):
        step = replace(step, due=tick, following=then, missed=missed)
        yield step
        step, missed = replace(step, tick=then), ()
