"""Follow a job to its end, and show it on the way."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

import click

from jobs.engine.client.job import Job
from jobs.engine.errors import BrokerUnavailable, JobNotFound
from jobs.engine.follow.inbox import Inbox
from webapp.services import services

from .bar import Bar
from .text import printable

#: Seconds between two looks at the clock; the bar is drawn as often.
TICK_SECONDS = 0.5
#: Seconds of silence after which the broker is asked whether it is there, and for which it may be away.
PING_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
#: Plain lines come no more often, unless the status changes.
LINE_SECONDS = 1.0

_CLEAR = "\r\x1b[2K"


class Display(Protocol):
    def job(self, job: Job) -> None: ...

    def lines(self, lines: Sequence[dict[str, Any]]) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def display(*, quiet: bool = False) -> Display:
    """A bar that moves on a terminal, plain lines elsewhere."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stdout.isatty() else Plain()


def follow(job_id: str, shown: Display, *, logs: bool = False) -> Job:
    """Return the job once it has ended.

    Raises:
        JobNotFound: there is none, or it has expired meanwhile.
        BrokerUnavailable: the broker was away for too long. The job goes on.
    """
    job = services().client.find(job_id)
    news = services().follower.follow_job(job_id, None, Inbox(), logs=logs, idle_seconds=TICK_SECONDS)
    outage = _Outage()
    try:
        for each in news:
            if each is None:
                shown.tick()
                outage.look()
                continue
            outage.over()
            if each.event == "error":
                raise JobNotFound(f"There is no job {job_id!r} any more; it has expired.")
            if each.lines:
                shown.lines(each.lines)
            if each.job is not None:
                job = each.job
                shown.job(job)
    finally:
        shown.close()
    return job


def log_line(line: dict[str, Any]) -> str:
    """As `logs` and `follow --logs` print it."""
    return printable(f"{line['at'][:19]}Z  {line['level']:<8} {line['message']}")


class _Outage:
    """Asks a silent broker whether it is there. A short outage ends nothing: the follower goes on by itself."""

    def __init__(self) -> None:
        self.over()

    def over(self) -> None:
        self._quiet_since = self._asked_at = time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        if now - self._asked_at < PING_SECONDS:
            return
        try:
            services().client.ping()
            self.over()
        except BrokerUnavailable:
            self._asked_at = time.monotonic()
            if now - self._quiet_since > PATIENCE_SECONDS:
                raise


class Quiet:
    """For --wait and --json."""

    def job(self, job: Job) -> None:
        pass

    def lines(self, lines: Sequence[dict[str, Any]]) -> None:
        pass

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class Terminal:
    """A bar in the last line, which log lines push up."""

    def __init__(self) -> None:
        self._bar = Bar()

    def job(self, job: Job) -> None:
        self._bar.tell(job)
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
        # As it is: click would take the escapes out of what it thinks is no terminal.
        sys.stdout.write(text)
        sys.stdout.flush()


class Plain:
    """A line for each change of status, and for progress now and then."""

    def __init__(self) -> None:
        self._bar = Bar()
        self._status = ""
        self._said_at = 0.0
        self._said = ""

    def job(self, job: Job) -> None:
        self._bar.tell(job)
        now = time.monotonic()
        if job.status != self._status or now - self._said_at >= LINE_SECONDS:
            self._status, self._said_at = job.status, now
            self._say(self._bar.words())

    def lines(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            click.echo(log_line(line))

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            click.echo(words)
