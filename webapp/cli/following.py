"""Follow a job to its end and show its progress."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import click

from jobs.engine.client.job import Job
from jobs.engine.errors import BrokerUnavailable, JobNotFound
from jobs.engine.follow.inbox import Inbox
from webapp.services import services

from .bar import Bar
from .text import printable

#: The bar is drawn again after this many seconds.
TICK_SECONDS = 0.5
#: After this many seconds without news, the broker is pinged.
PING_SECONDS = 2.0
#: After this many seconds without a reply, following ends.
MAX_OUTAGE_SECONDS = 30.0
#: At least this many seconds lie between two plain lines, unless the status changes.
LINE_SECONDS = 1.0

_CLEAR = "\r\x1b[2K"


class Display(Protocol):
    def job(self, job: Job) -> None: ...

    def lines(self, lines: Sequence[dict[str, Any]]) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def display(*, quiet: bool = False) -> Display:
    """Return a moving bar for a terminal, plain lines for anything else, and nothing if `quiet`."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stdout.isatty() else Plain()


def follow(job_id: str, shown: Display, *, logs: bool = False) -> Job:
    """Show a job until it ends, and return it.

    Raises:
        JobNotFound: the job does not exist or has expired.
        BrokerUnavailable: the broker did not reply for 30 seconds. The job continues.
    """
    job = services().client.find(job_id)
    news = services().follower.follow_job(job_id, None, Inbox(), logs=logs, idle_seconds=TICK_SECONDS)
    outage = _Outage()
    try:
        for each in news:
            if each is None:
                shown.tick()
                outage.check()
                continue
            outage.over()
            if each.event == "error":
                raise JobNotFound(f"Job {job_id!r} has expired.")
            if each.lines:
                shown.lines(each.lines)
            if each.job is not None:
                job = each.job
                shown.job(job)
    finally:
        shown.close()
    return job


def log_line(line: Mapping[str, Any]) -> str:
    """Return a line of a job's log as `logs` and `follow --logs` print it."""
    return printable(f"{line['at'][:19]}Z  {line['level']:<8} {line['message']}")


class _Outage:
    """Notices a long outage of the broker. The follower recovers from a short one by itself."""

    def __init__(self) -> None:
        self.over()

    def over(self) -> None:
        self._silent_since = self._pinged_at = time.monotonic()

    def check(self) -> None:
        now = time.monotonic()
        if now - self._pinged_at < PING_SECONDS:
            return
        try:
            services().client.ping()
            self.over()
        except BrokerUnavailable:
            self._pinged_at = time.monotonic()
            if now - self._silent_since > MAX_OUTAGE_SECONDS:
                raise


class Quiet:
    """Shows nothing, for --wait and --json."""

    def job(self, job: Job) -> None:
        pass

    def lines(self, lines: Sequence[dict[str, Any]]) -> None:
        pass

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class Terminal:
    """A bar in the last line of a terminal; log lines appear above it."""

    def __init__(self) -> None:
        self._bar = Bar()

    def job(self, job: Job) -> None:
        self._bar.show(job)
        self.tick()

    def lines(self, lines: Sequence[dict[str, Any]]) -> None:
        text = "".join(log_line(line) + "\n" for line in lines)
        self._write(_CLEAR + text)
        self.tick()

    def tick(self) -> None:
        self._write(_CLEAR + self._bar.draw(shutil.get_terminal_size().columns - 1))

    def close(self) -> None:
        self._write("\n")

    def _write(self, text: str) -> None:
        # Not click.echo: it removes escapes if it does not recognize the terminal.
        sys.stdout.write(text)
        sys.stdout.flush()


class Plain:
    """A line for each change of status, and at most one a second for progress."""

    def __init__(self) -> None:
        self._bar = Bar()
        self._status = ""
        self._printed_at = 0.0
        self._printed = ""

    def job(self, job: Job) -> None:
        self._bar.show(job)
        now = time.monotonic()
        if job.status != self._status or now - self._printed_at >= LINE_SECONDS:
            self._status, self._printed_at = job.status, now
            self._print(self._bar.words())

    def lines(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            click.echo(log_line(line))

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _print(self, words: str) -> None:
        if words != self._printed:
            self._printed = words
            click.echo(words)
