"""Pages of jobs and of log lines, and the cursors that lead from one page to the next."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from jobs.engine.broker.store.history import LogLine
from jobs.engine.errors import Fault, InvalidRequest

from .job import Job


@dataclass(frozen=True)
class Page:
    jobs: list[Job]
    #: None on the last page.
    next_cursor: str | None


@dataclass(frozen=True)
class LogPage:
    lines: list[LogLine]
    #: None if the job has no more lines yet.
    next_cursor: str | None


def score(moment: datetime | None, default: str) -> str:
    """Return the exclusive bound of an index for a time, or `default` without one."""
    return f"({int(moment.timestamp() * 1_000_000)}" if moment else default


def job_cursor(score: str, job_id: str) -> str:
    """Return the cursor that continues after this entry of an index."""
    return urlsafe_b64encode(f"{score}:{job_id}".encode()).decode().rstrip("=")


def read_job_cursor(cursor: str) -> tuple[str, str]:
    """Return the score and the job id of a cursor. Raises InvalidRequest if it is not valid."""
    try:
        score, job_id = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(":", 1)
    except ValueError:
        raise _bad_cursor() from None
    if not (score.isascii() and score.isdigit()):
        raise _bad_cursor()
    return score, job_id


def read_log_cursor(cursor: str | None) -> int:
    """Return the number of the first log line to read. Raises InvalidRequest if the cursor is not valid."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
        raise _bad_cursor()
    return int(cursor)


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest([Fault("this is not a valid cursor", "bad_cursor", parameter="cursor")])
