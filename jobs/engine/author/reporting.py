"""An attempt's progress on its way to the worker.

A report only changes a few attributes. A thread looks at them five times a second and sends what has changed, so a
call costs next to nothing however often it comes, and the last value always arrives.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Protocol

#: Seconds between two reports of progress.
REPORT_SECONDS = 0.2
#: Characters of a progress message that are kept.
MESSAGE_CHARACTERS = 500
#: Other readers of JSON can't read larger numbers.
LARGEST_NUMBER = 10**300


class Channel(Protocol):
    """The way from a work horse to its worker."""

    def send(self, message: dict[str, Any]) -> None: ...

    def ask(self, message: dict[str, Any]) -> None:
        """Send, and return once the worker has written it to the broker."""


@dataclass(frozen=True)
class Progress:
    """How far an attempt is."""

    #: 0 to 100.
    percent: float = 0.0
    message: str | None = None
    current: float | None = None
    total: float | None = None
    eta_seconds: float | None = None

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> Progress:
        """Read RQ's meta. A value that is not of its type counts as missing: RQ lets a job keep anything there."""
        message = meta.get("progress_message")
        return cls(
            _number(meta.get("progress")) or 0.0,
            message if isinstance(message, str) else None,
            _number(meta.get("progress_current")),
            _number(meta.get("progress_total")),
            _number(meta.get("eta_seconds")),
        )

    def as_meta(self) -> dict[str, Any]:
        """Return the progress as RQ's meta keeps it, and as it travels to the worker."""
        return {
            "progress": self.percent,
            "progress_message": self.message,
            "progress_current": self.current,
            "progress_total": self.total,
            "eta_seconds": self.eta_seconds,
        }

    def completed(self) -> Progress:
        return replace(self, percent=100.0, eta_seconds=None)


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER else None


class Reporting:
    """An attempt's progress, and the thread that sends it."""

    def __init__(self, channel: Channel, start: Progress) -> None:
        self._channel = channel
        #: Set by the thread. A loop looks at it after each item, and reports.
        self.due = True
        self._percent = start.percent
        self._message = start.message
        self._current = start.current
        self._total = start.total
        self._eta: float | None = None
        self._changed = False
        self._loops = 0
        self._reporter: _Reporter | None = None

    def update(
        self, percent: float | None, message: str | None, current: float | None, total: float | None, eta: float | None
    ) -> None:
        if percent is None and current is not None and total:
            percent = 100.0 * current / total
        if percent is not None:
            # Progress never falls within an attempt, whatever the order of the reports.
            self._percent = max(self._percent, min(100.0, percent))
        if message is not None:
            self._message = str(message)[:MESSAGE_CHARACTERS]
        self._current = current if current is not None else self._current
        self._total = total if total is not None else self._total
        self._eta = eta
        self._changed = True
        self._report_soon()

    def progress(self) -> Progress:
        eta = None if self._eta is None else round(self._eta, 1)
        return Progress(round(self._percent, 2), self._message, self._current, self._total, eta)

    def take_change(self) -> Progress | None:
        """Return the progress if it has changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        return self.progress()

    def flush(self) -> None:
        """Send what has changed since the last report, before anything else is sent."""
        if self._reporter is not None:
            self._reporter.flush()

    def stop(self) -> None:
        """End the thread, so that nothing more is sent. What has changed since the last report is dropped."""
        if self._reporter is not None:
            self._reporter.stop()

    @property
    def in_a_loop(self) -> bool:
        return self._loops > 0

    def loop_began(self) -> None:
        self._loops += 1
        self._report_soon()

    def loop_ended(self) -> None:
        self._loops -= 1

    def _report_soon(self) -> None:
        # Made at the first report: a quiet job needs no thread.
        if self._reporter is None:
            self._reporter = _Reporter(self, self._channel)
        self._reporter.wake()


class _Reporter:
    """The thread that sends an attempt's progress: a few times a second, and only changes."""

    def __init__(self, reporting: Reporting, channel: Channel) -> None:
        self._reporting = reporting
        self._channel = channel
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def flush(self) -> None:
        with self._sending:
            if (change := self._reporting.take_change()) is not None:
                self._channel.send({"progress": change.as_meta()})

    def stop(self) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(REPORT_SECONDS if self._reporting.in_a_loop else None)
            if self._over.is_set():
                return
            self._wake.clear()
            self._reporting.due = True
            self.flush()
            self._over.wait(REPORT_SECONDS)
