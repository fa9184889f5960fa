"""The chores that a scheduler does for other rooms: webhooks, schedules, trends and clean-up."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from jobs.engine.broker.connection import connect, wait_for_broker
from jobs.engine.broker.fast_redis import FastRedis
from jobs.engine.broker.safety import warn_about
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission
from jobs.engine.client.ticks import Ticks
from jobs.engine.operate.trends import Trends
from jobs.engine.settings import Settings
from jobs.engine.webhooks.outbox import Outbox

from .scheduler import Chore, Scheduler

logger = logging.getLogger("workhorse")

OUTBOX_SECONDS = 0.25
SCHEDULES_SECONDS = 1.0
CLEAN_UP_SECONDS = 600.0
#: Often enough that no minute is missed.
TREND_SECONDS = 20.0
CLEAN_UP = "clean-up"


def chores(client: Client) -> list[Chore]:
    """Return the chores of other rooms."""
    return [
        Chore(OUTBOX_SECONDS, Outbox(client).empty, "empty_outbox"),
        Chore(SCHEDULES_SECONDS, Ticks(client).run_due, "run_schedules"),
        Chore(TREND_SECONDS, Trends(client.store).note),
        Chore(CLEAN_UP_SECONDS, lambda: submit_clean_up(client), due_at=time.monotonic() + CLEAN_UP_SECONDS),
    ]


def submit_clean_up(client: Client) -> None:
    """Submit one clean-up a day, however many hosts call this."""
    if CLEAN_UP in client.catalogue:
        today = datetime.now(UTC).date().isoformat()
        job_type = client.catalogue.find(CLEAN_UP)
        client.submit(Submission(job_type, {}, user_id="", idempotency_key=f"{CLEAN_UP} {today}", digest=today))


def run_scheduler(settings: Settings, catalogue: Catalogue, dead_workers: int) -> None:
    """Run a host's scheduler until SIGTERM."""
    connection = connect(settings, kind=FastRedis)
    wait_for_broker(connection)
    for warning in [*settings.warnings(), *warn_about(connection)]:
        logger.warning(warning)
    client = Client(connection, settings, catalogue)
    Scheduler(client.store, chores(client), dead_workers).run()
