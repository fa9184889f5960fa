"""What a running function may call. Outside a job all of it is harmless: the function just runs.

In a work horse there is one attempt, `begin()` makes it the current one, and what it has to say goes to the worker
over a channel. Progress only changes a few attributes here; a thread looks at them five times a second and sends
what is new, so that a call costs next to nothing however often it comes, and the last value always arrives.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sized
from dataclasses import dataclass
from itertools import islice
from operator import index
from typing import Any, Protocol, TypeVar

from .outside_a_job import direct
from .positions import Positions

Item = TypeVar("Item")

#: Seconds between two reports of progress.
REPORT_SECONDS = 0.2
#: Characters of a progress message that are kept, and of a line of the log.
MESSAGE_CHARACTERS = 500
LINE_CHARACTERS = 8_000
#: Of progress: what is larger is no number to other readers of JSON.
LARGEST_NUMBER = 10**300


@dataclass(frozen=True)
class CurrentJob:
    job_id: str
    job_type: str
    user_id: str | None
    attempt: int
    resumed: int


class Cancelled(BaseException):
    """The job is to stop. No Exception, so that a function's own `except Exception` does not swallow it."""


class Channel(Protocol):
    """The way from a work horse to its worker."""

    def send(self, message: dict[str, Any]) -> None: ...

    def ask(self, message: dict[str, Any]) -> None:
        """Send, and return once the worker has written it to the broker."""


class Attempt:
    """One attempt as its own process sees it."""

    def __init__(
        self,
        job: CurrentJob,
        channel: Channel,
        checkpoint: dict[str, Any],
        meta: dict[str, Any],
        positions: list[int] | None = None,
    ) -> None:
        self.job = job
        self.channel = channel
        self.checkpoint = checkpoint
        self._saved_positions = positions or []
        self._positions: Positions | None = None
        self.cancel_requested = False
        #: Set by the reporter; a loop looks at it at each turn and says where it is.
        self.due = True
        self._percent = float(meta.get("progress") or 0.0)
        self._message: str | None = meta.get("progress_message")
        self._current: float | None = meta.get("progress_current")
        self._total: float | None = meta.get("progress_total")
        self._eta: float | None = None
        self._changed = False
        self._loops = 0
        self._reporter: Reporter | None = None

    def progress(
        self, percent: float | None, message: str | None, current: float | None, total: float | None, eta: float | None
    ) -> None:
        if self.cancel_requested:
            raise Cancelled
        if percent is None and current is not None and total:
            percent = 100.0 * current / total
        if percent is not None:
            # Within an attempt progress never falls, whatever order the function reports in.
            self._percent = max(self._percent, min(100.0, percent))
        if message is not None:
            self._message = str(message)[:MESSAGE_CHARACTERS]
        self._current = current if current is not None else self._current
        self._total = total if total is not None else self._total
        self._eta = eta
        self._changed = True
        self._report_soon()

    def _report_soon(self) -> None:
        # Made at the first report: a quiet job needs no thread.
        if self._reporter is None:
            self._reporter = Reporter(self)
        self._reporter.wake()

    def flush(self) -> None:
        """Send what has changed since the last time, before anything else is sent."""
        if self._reporter is not None:
            self._reporter.flush()

    def take_change(self) -> dict[str, Any] | None:
        """What is new since the last time this was asked."""
        if not self._changed:
            return None
        self._changed = False
        return self.state()

    @property
    def in_a_loop(self) -> bool:
        return self._loops > 0

    def state(self) -> dict[str, Any]:
        return {
            "progress": round(self._percent, 2),
            "progress_message": self._message,
            "progress_current": self._current,
            "progress_total": self._total,
            "eta_seconds": None if self._eta is None else round(self._eta, 1),
        }

    @property
    def positions(self) -> Positions:
        """Where resumable loops stand. The worker reads it from the first such loop on."""
        if self._positions is None:
            self._positions = Positions(self._saved_positions)
            self.channel.ask({"positions": self._positions.path})
        return self._positions

    def loop_began(self) -> None:
        self._loops += 1
        self._report_soon()

    def loop_ended(self) -> None:
        self._loops -= 1


class Reporter:
    """The thread that sends an attempt's progress, a few times a second and only what is new."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._sending = threading.Lock()
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="progress", daemon=True).start()

    def wake(self) -> None:
        self._wake.set()

    def flush(self) -> None:
        with self._sending:
            if (change := self._attempt.take_change()) is not None:
                self._attempt.channel.send({"progress": change})

    def _run(self) -> None:
        while True:
            self._wake.wait(REPORT_SECONDS if self._attempt.in_a_loop else None)
            self._wake.clear()
            self._attempt.due = True
            self.flush()
            time.sleep(REPORT_SECONDS)


_attempt: Attempt | None = None


def begin(attempt: Attempt | None) -> None:
    """Make it the current attempt of this process."""
    global _attempt
    _attempt = attempt


_at_end: list[Callable[[], None]] = []


def at_end(step: Callable[[], None]) -> None:
    """Have `step` done when the attempt of this process ends, however it ends but by a kill."""
    if step not in _at_end:
        _at_end.append(step)


def end() -> None:
    """Do what the attempt has left to be done at its end."""
    while _at_end:
        _at_end.pop()()


def current_job() -> CurrentJob | None:
    """Tell which job is running here, or None outside a job."""
    return _attempt.job if _attempt else None


def cancelled() -> bool:
    """Tell whether the job is to stop. `progress` and `track` stop it by themselves."""
    return _attempt is not None and _attempt.cancel_requested


def log(message: object, level: str = "info") -> None:
    """Add a line to the job's log; outside a job, print it."""
    if _attempt is None:
        print(message)
    else:
        _attempt.channel.send({"lines": [[time.time(), str(level)[:20], str(message)[:LINE_CHARACTERS]]]})


def progress(
    percent: float | None = None,
    message: str | None = None,
    *,
    current: float | None = None,
    total: float | None = None,
) -> None:
    """Say where the job stands.

    Args:
        percent: 0 to 100. Left out, it is taken from `current` and `total`.
        message: what it is doing, for people.
        current: how many are done, of `total`.

    Raises:
        ValueError: for a number that is none.
    """
    percent, current, total = _number("percent", percent), _number("current", current), _number("total", total)
    if _attempt is not None:
        _attempt.progress(percent, message, current, total, None)


def _number(name: str, value: float | None) -> float | None:
    """A plain number, also of one of numpy's or a Decimal, which could not be sent."""
    if value is None:
        return None
    plain = index(value) if hasattr(value, "__index__") else float(value)
    if not -LARGEST_NUMBER <= plain <= LARGEST_NUMBER:  # NaN is not, either
        raise ValueError(f"progress({name}={value}): expected a finite number")
    return plain


def track(
    iterable: Iterable[Item], message: str | None = None, *, total: int | None = None, resume: bool = False
) -> Iterator[Item]:
    """Go through `iterable` and report percent, rate and time left. A cancelled job stops here.

    Args:
        message: what the loop does, for people.
        total: how many items there are, if `len(iterable)` can't tell.
        resume: in a later execution of the job, go on after the last finished item, by position, per loop in the order
            of the calls. The iterable must then come in the same order again. Exact after an error, a deploy, or the
            death of the job's process; if its worker died too, up to 0.5 s of items come again.
    """
    attempt = _attempt
    if attempt is None:
        yield from iterable
        return
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    began = time.monotonic()
    first = done = 0
    if resume:
        positions = attempt.positions
        number, finished = positions.begin_loop()
        first = done = finished.value
        iterable = islice(iterable, first, None)

    def report() -> None:
        attempt.due = False
        here = done - first
        left = None if not total or not here else max(0.0, (total - done) * (time.monotonic() - began) / here)
        attempt.progress(None, message, done, total, left)

    report()
    attempt.loop_began()
    try:
        if resume:
            for item in iterable:
                yield item
                done += 1
                if positions.following != number + 1:
                    positions.forget_inside(number)
                finished.value = done
                if attempt.due:
                    report()
        else:
            for item in iterable:
                yield item
                done += 1
                if attempt.due:
                    report()
    finally:
        attempt.loop_ended()
    report()


class Checkpoint(MutableMapping[str, Any]):
    """A mapping of JSON values that outlives the execution. An assignment returns once the broker has it.

    It is written whole at each assignment, so keep it small. Changes inside a value are not saved: assign it again.
    Outside a job it is an ordinary mapping; what a direct call of a job's function assigns is gone with that call.
    """

    @property
    def _values(self) -> dict[str, Any]:
        return _attempt.checkpoint if _attempt else direct.values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"checkpoint[{name!r}]: names are strings")
        self._write(self._values | {name: value})

    def __delitem__(self, name: str) -> None:
        values = dict(self._values)
        del values[name]
        self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        try:
            text = json.dumps(values, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"a checkpoint holds JSON values: {error}") from None
        if _attempt is None:
            direct.values = values
        else:
            _attempt.channel.ask({"checkpoint": text})
            _attempt.checkpoint = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"checkpoint({self._values!r})"


checkpoint = Checkpoint()
