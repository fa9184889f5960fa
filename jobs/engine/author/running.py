"""The attempt that runs in this process: its job, its cancellation, its log. Outside a job there is none.

`begin()` makes an attempt the current one of a work horse, and it reports to its worker over a channel.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .positions import Positions
from .reporting import Channel, Progress, Reporting

logger = logging.getLogger("workhorse")

#: Characters of one line of a job's log that are kept.
LOG_LINE_CHARACTERS = 8_000
_LEVEL_CHARACTERS = 20


@dataclass(frozen=True)
class CurrentJob:
    job_id: str
    job_type: str
    user_id: str | None
    attempt: int
    resumed: int


class Cancelled(BaseException):
    """The job must stop. Not an Exception: a function's own `except Exception` must not swallow it."""


class Attempt:
    """One attempt, as its own process sees it."""

    def __init__(
        self,
        job: CurrentJob,
        channel: Channel,
        checkpoint: dict[str, Any],
        *,
        progress: Progress | None = None,
        positions: list[int] | None = None,
    ) -> None:
        self.job = job
        self.channel = channel
        self.checkpoint = checkpoint
        self.cancel_requested = False
        self._start = progress
        self._reporting: Reporting | None = None
        self._saved_positions = positions or []
        self._positions: Positions | None = None

    @property
    def reporting(self) -> Reporting:
        # Made at the first report: a quiet job needs none, and a horse touches few pages.
        if self._reporting is None:
            self._reporting = Reporting(self.channel, self._start or Progress())
        return self._reporting

    def flush(self) -> None:
        """Send the progress that is not sent yet."""
        if self._reporting is not None:
            self._reporting.flush()

    def end(self) -> None:
        """Send no progress any more: a loop may outlive its attempt, and the process may serve another one."""
        if self._reporting is not None:
            self._reporting.stop()

    def request_cancel(self) -> None:
        """Make the next report of progress raise `Cancelled`, and a loop report at its next item."""
        self.cancel_requested = True
        if self._reporting is not None:
            self._reporting.due = True

    def progress(
        self, percent: float | None, message: str | None, current: float | None, total: float | None, eta: float | None
    ) -> None:
        if self.cancel_requested:
            raise Cancelled
        self.reporting.update(percent, message, current, total, eta)

    @property
    def positions(self) -> Positions:
        """The positions of resumable loops. The worker reads them from the first such loop on."""
        if self._positions is None:
            self._positions = Positions(self._saved_positions)
            self.channel.ask({"positions": self._positions.path})
        return self._positions


_attempt: Attempt | None = None
_at_end: list[Callable[[], None]] = []


def current_attempt() -> Attempt | None:
    """Return the attempt of this process, or None outside a job."""
    return _attempt


def begin(attempt: Attempt | None) -> None:
    """Make `attempt` the current one of this process."""
    global _attempt
    _attempt = attempt


def at_end(step: Callable[[], None]) -> None:
    """Run `step` when the attempt of this process ends, unless the process is killed."""
    if step not in _at_end:
        _at_end.append(step)


def end() -> None:
    """Run the steps that were left for the end of the attempt. One that fails is logged, and changes no outcome."""
    while _at_end:
        try:
            _at_end.pop()()
        except Exception:
            logger.exception("a step at the end of the attempt failed")


def current_job() -> CurrentJob | None:
    """Return the job that runs here, or None outside a job."""
    return _attempt.job if _attempt else None


def cancelled() -> bool:
    """Return True if the job must stop. `progress` and `track` stop it by themselves."""
    return _attempt is not None and _attempt.cancel_requested


def log(message: object, level: str = "info") -> None:
    """Add a line to the job's log; outside a job, print it."""
    if _attempt is None:
        print(message)
        return
    line = [time.time(), str(level)[:_LEVEL_CHARACTERS], str(message)[:LOG_LINE_CHARACTERS]]
    _attempt.channel.send({"lines": [line]})
