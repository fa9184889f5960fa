"""The whole decision at the end of an attempt, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.engine.author.reporting import Progress
from jobs.engine.author.retry import Retry
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.errors import MAX_LATER_SECONDS, JobTimeout
from jobs.engine.worker.ending import Ending, EndingKind
from jobs.engine.worker.retry_decision import MAX_DEATHS, AttemptEnd, Death, KillReason, Limits, after_death, decide

POLICY = Retry(max=2, delay=3, backoff="constant", jitter=False)
NO_TIMEOUTS = Retry(max=2, delay=3, backoff="constant", jitter=False, never=(JobTimeout,))

COMPLETED = Ending(EndingKind.COMPLETED, result="Mw==")
CANCELLED = Ending(EndingKind.CANCELLED)
RETRYABLE = Ending(EndingKind.FAILED, error="no", error_type="OSError", retryable=True)
UNCOVERED = Ending(EndingKind.FAILED, error="no", error_type="ValueError")
FATAL = Ending(EndingKind.FAILED, error="never", error_type="Fatal", fatal=True)
LATER = Ending(EndingKind.LATER, error="later", error_type="RetryLater", delay_seconds=9)
DEATH = Death("signal SIGKILL")


def decided(cause: Ending | KillReason | Death, **facts: Any) -> Outcome:
    end = AttemptEnd(
        cause,
        POLICY,
        Limits(timeout_seconds=60, stall_seconds=5, memory_bytes=1_000_000),
        Progress(40),
        attempt=1,
        max_attempts=3,
        deaths=0,
        stopping=False,
    )
    return decide(replace(end, **facts))


@pytest.mark.parametrize(
    ("cause", "facts", "kind", "error_type"),
    [
        (COMPLETED, {}, "completed", None),
        (COMPLETED, {"stopping": True}, "completed", None),
        (CANCELLED, {}, "cancelled", None),
        (CANCELLED, {"stopping": True}, "cancelled", None),
        (RETRYABLE, {}, "retrying", "OSError"),
        (RETRYABLE, {"attempt": 2}, "retrying", "OSError"),
        (RETRYABLE, {"attempt": 3}, "failed", "OSError"),
        (RETRYABLE, {"policy": None}, "failed", "OSError"),
        (RETRYABLE, {"stopping": True}, "resumed", None),
        (RETRYABLE, {"attempt": 3, "stopping": True}, "resumed", None),
        (UNCOVERED, {}, "failed", "ValueError"),
        (UNCOVERED, {"stopping": True}, "resumed", None),
        (FATAL, {}, "failed", "Fatal"),
        (FATAL, {"stopping": True}, "failed", "Fatal"),
        (LATER, {}, "retrying", "RetryLater"),
        (LATER, {"attempt": 3}, "retrying", "RetryLater"),
        (LATER, {"policy": None}, "retrying", "RetryLater"),
        (LATER, {"stopping": True}, "retrying", "RetryLater"),
        (KillReason.CANCELLED, {}, "cancelled", None),
        (KillReason.CANCELLED, {"stopping": True}, "cancelled", None),
        (KillReason.SHUTDOWN, {"stopping": True}, "resumed", None),
        (KillReason.TIMEOUT, {}, "retrying", "timeout"),
        (KillReason.TIMEOUT, {"attempt": 3}, "failed", "timeout"),
        (KillReason.TIMEOUT, {"policy": None}, "failed", "timeout"),
        (KillReason.TIMEOUT, {"policy": NO_TIMEOUTS}, "failed", "timeout"),
        (KillReason.TIMEOUT, {"stopping": True}, "resumed", None),
        (KillReason.STALLED, {}, "retrying", "stalled"),
        (KillReason.STALLED, {"attempt": 3}, "failed", "stalled"),
        (KillReason.STALLED, {"policy": NO_TIMEOUTS}, "failed", "stalled"),
        (KillReason.MEMORY_LIMIT, {}, "failed", "memory_limit"),
        (KillReason.MEMORY_LIMIT, {"stopping": True}, "failed", "memory_limit"),
        (DEATH, {}, "resumed", None),
        (DEATH, {"policy": None}, "resumed", None),
        (DEATH, {"attempt": 3}, "resumed", None),
        (DEATH, {"deaths": MAX_DEATHS - 2}, "resumed", None),
        (DEATH, {"deaths": MAX_DEATHS - 1}, "failed", "worker_lost"),
        (DEATH, {"deaths": MAX_DEATHS - 1, "stopping": True}, "failed", "worker_lost"),
    ],
)
def test_each_end_of_an_attempt_has_one_outcome(cause, facts, kind, error_type):
    outcome = decided(cause, **facts)
    assert (outcome.kind, outcome.error_type) == (OutcomeKind(kind), error_type)


def test_a_retry_waits_as_its_policy_says_and_counts_as_an_attempt():
    outcome = decided(RETRYABLE)
    assert (outcome.delay_seconds, outcome.charged, outcome.error) == (3, True, "no")


def test_retry_later_does_not_count_as_an_attempt():
    outcome = decided(LATER, attempt=3)
    assert (outcome.delay_seconds, outcome.charged) == (9, False)


def test_no_retry_waits_longer_than_a_year():
    outcome = decided(RETRYABLE, policy=Retry(max=2, delay=1e12, max_delay=1e12, jitter=False))
    assert outcome.delay_seconds == MAX_LATER_SECONDS


def test_a_completed_job_keeps_its_result_and_is_at_100_percent():
    outcome = decided(COMPLETED)
    meta = json.loads(outcome.meta)
    assert (outcome.result, meta["progress"], meta["eta_seconds"]) == ("Mw==", 100.0, None)


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        (KillReason.TIMEOUT, "60 s"),
        (KillReason.STALLED, "5 s (stall_timeout)"),
        (KillReason.MEMORY_LIMIT, "1,000,000 bytes"),
    ],
)
def test_a_job_over_a_limit_fails_with_a_message_that_names_the_limit(cause, named):
    assert named in (decided(cause, policy=None).error or "")


def test_deaths_in_a_row_are_counted_and_the_last_one_is_described():
    first, second, third = (after_death(deaths, DEATH) for deaths in range(MAX_DEATHS))
    assert [first.deaths, second.deaths, third.deaths] == [1, 2, 3]
    assert (first.reason, third.reason) == ("worker_lost", None)
    assert third.error and "3 times in a row (last: signal SIGKILL)" in third.error


def test_any_other_ending_resets_the_count_of_deaths():
    assert decided(RETRYABLE, deaths=2).deaths == 0
    assert decided(KillReason.SHUTDOWN, deaths=2).deaths == 0
